-- Phones and e-mails of usable contacts, one row per contact and value. A value is personal while all names it stands beside may be one
-- person's; a switchboard, a family phone, a box of a department is shared, and joins nobody.
{%- set name_columns = 'name_kind, last_key, first_key, second_key, first_initial, second_initial, is_first_known' %}
with held as (
    select record_key, 'phone' as kind, unnest(phones) as value
    from {{ ref('int_contacts__validated') }} where reason is null
    union all
    select record_key, 'email' as kind, unnest(emails) as value
    from {{ ref('int_contacts__validated') }} where reason is null
),

several as (
    select kind, value, count(*) as holders from held group by all having count(*) > 1
),

counted as materialized (
    select held.*, coalesce(holders, 1) as holders
    from held
    left join several on several.kind = held.kind and several.value = held.value
),

-- Only values that several records give are compared, and only their different name forms: a hub of a thousand namesakes is one row.
forms as (
    select distinct kind, value, {{ name_columns }}
    from counted
    inner join {{ ref('int_contacts__validated') }} using (record_key)
    where holders > 1 and name_kind is not null
),

numbered as materialized (
    select *, count(*) over (partition by kind, value) as form_count,
        row_number() over (partition by kind, value order by {{ name_columns }}) as form_number
    from forms
),

shared as (
    select distinct kind, value from numbered where form_count > 12 -- nobody is written in so many ways
    union
    select a.kind, a.value
    from numbered as a
    inner join numbered as b on b.kind = a.kind and b.value = a.value and b.form_number > a.form_number
    where a.form_count between 2 and 12 and not {{ names_agree('a', 'b') }}
)

select
    counted.record_key, counted.kind, counted.value, holders,
    shared.value is not null as is_shared,
    shared.value is null and not case counted.kind
        when 'phone' then starts_with(counted.value, '+780') -- toll-free: made for everybody
        else regexp_matches(counted.value, '^(?:info|mail|office|sales|sale|zakaz|zakupki|order|orders|buh|buhgalter|glavbuh|sklad|snab|snabzhenie|hr|kadry|support|help|admin|post|contact|secretar|secretary|reception|priemnaya|shop|opt|tender|noreply|no-reply)@')
    end as is_personal
from counted
left join shared on shared.kind = counted.kind and shared.value = counted.value
