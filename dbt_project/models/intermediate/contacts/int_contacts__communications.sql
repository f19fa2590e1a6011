-- Phones and e-mails of usable contacts, one row per contact and value. A value is personal while all names it stands
-- beside may be one person's; a switchboard, a family phone, a box of a department is shared, and joins nobody.
{%- set name_columns = 'name_kind, last_key, first_key, second_key, first_initial, second_initial, is_first_known' %}
with contacts as (
    select * from {{ ref('int_contacts__validated') }} where reason is null
),

role_mailboxes as (
    select * from {{ ref('role_mailboxes') }}
),

given as (
    select record_key, 'phone' as kind, unnest(phones) as value from contacts
    union all
    select record_key, 'email' as kind, unnest(emails) as value from contacts
),

several as (
    select kind, value, count(*) as holders from given group by all having count(*) > 1
),

counted as materialized (
    select given.*, coalesce(holders, 1) as holders
    from given
    left join several on several.kind = given.kind and several.value = given.value
),

-- Only values that several records give are compared, and only their different name forms: a hub of a thousand
-- namesakes is one row.
forms as (
    select distinct kind, value, {{ name_columns }}
    from counted
    inner join contacts using (record_key)
    where holders > 1 and name_kind is not null
),

numbered as materialized (
    select
        *,
        count(*) over (partition by kind, value) as form_count,
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
),

communications as (
    select
        counted.record_key, counted.kind, counted.value, holders,
        shared.value is not null as is_shared,
        shared.value is null
            and not (counted.kind = 'phone' and {{ is_toll_free('counted.value') }}) -- made for everybody
            and mailbox is null as is_personal
    from counted
    left join shared on shared.kind = counted.kind and shared.value = counted.value
    left join role_mailboxes on counted.kind = 'email' and mailbox = split_part(counted.value, '@', 1)
)

select * from communications
