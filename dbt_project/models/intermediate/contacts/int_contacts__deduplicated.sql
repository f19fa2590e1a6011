{{ config(materialized='view') }}
-- Survivorship, one golden record per contact_id. The fullest name wins, then the one most records give, then the
-- newest; the newest post; all usable phones and e-mails of its records. The rank is total, so two runs agree, and
-- which record won is kept beside the value.
with outcomes as (
    select * from {{ ref('int_contacts__outcomes') }} where contact_id is not null
),

contacts as (
    select * from {{ ref('int_contacts__validated') }}
),

several as (
    select contact_id from outcomes group by contact_id having count(*) > 1
),

members as materialized (
    select outcomes.contact_id, several.contact_id is not null as has_rivals, contacts.*
    from outcomes
    inner join contacts using (record_key)
    left join several on several.contact_id = outcomes.contact_id
),

name_ranks as (
    select
        contact_id, last_name, first_name, second_name, record_key,
        case name_kind when 'full' then 2 when 'part' then 1 else 0 end as fullness,
        len(list_filter(
            [last_name, first_name, second_name], lambda part: part is not null and part not like '_.'
        )) as part_count,
        count(*) over same_name as giver_count,
        max(changed_at) over same_name as newest_at,
        -- ё says more than е, and few take the trouble
        regexp_matches(concat_ws(' ', last_name, first_name, second_name), '[Ёё]') as has_yo,
        changed_at
    from members
    where has_name and has_rivals
    window same_name as (partition by contact_id, last_key, first_key, second_key, first_initial, second_initial)
),

names as (
    select contact_id, last_name, first_name, second_name, record_key as name_from
    from name_ranks
    qualify row_number() over (
        partition by contact_id
        order by
            fullness desc, part_count desc, giver_count desc, newest_at desc nulls last, has_yo desc,
            changed_at desc nulls last, record_key
    ) = 1
    union all
    select contact_id, last_name, first_name, second_name, record_key
    from members
    where has_name and not has_rivals -- most are alone, and need no contest
),

gathered as (
    select
        contact_id,
        arg_max(post, (coalesce(changed_at, timestamp '0001-01-01'), record_key)) filter (post is not null) as post,
        arg_max(record_key, (coalesce(changed_at, timestamp '0001-01-01'), record_key))
            filter (post is not null) as post_from,
        list_sort(list_distinct(flatten(list(phones)))) as phones,
        list_sort(list_distinct(flatten(list(emails)))) as emails,
        array_to_string(list_sort(list(distinct source)), ', ') as sources,
        count(*) as record_count,
        max(changed_at) as changed_at
    from members
    where has_rivals
    group by contact_id
    union all
    select contact_id, post, case when post is not null then record_key end, phones, emails, source, 1, changed_at
    from members
    where not has_rivals
),

golden as (
    select
        gathered.*,
        last_name, first_name, second_name, name_from,
        -- the CRM takes no contact without a name; the number to call is the best name such a person has
        case
            when coalesce(last_name, first_name) is null then coalesce(phones[1], emails[1], second_name)
            else last_name
        end as card_last_name
    from gathered
    left join names using (contact_id)
)

select * from golden
