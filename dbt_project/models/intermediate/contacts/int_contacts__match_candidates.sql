-- Pairs that some evidence joins, before contradictions are looked for: stars, in which each record of a group of
-- compatible names on a key is paired with the first that has the group's best name. A pair says by which rule and key.
with keys as (
    select * from {{ ref('int_contacts__match_keys') }} where belongs_to = 'nobody'
),

groups as (
    select * from {{ ref('int_contacts__name_groups') }}
),

personal as ( -- all names beside it may be one person's
    select kind, match_key from groups where within = '' and group_count = 1 group by all
),

ruled as (
    select
        record_key, match_key, within, is_head, head_number as group_number,
        case
            when group_count = 1 then 'same_' || kind
            -- what others give too proves somebody by surname and given name; a hub of many names proves nobody
            when belongs_to = 'a person' and is_head_named and group_count <= 12 then 'same_shared_' || kind
        end as rule
    from groups
    where kind <> 'name' and within = '' and name_kind <> 'text'
    union all
    select record_key, match_key, within, is_head, head_number, 'same_' || kind || '_in_company'
    from groups
    anti join personal using (kind, match_key)
    where kind <> 'name' and within <> ''
    union all
    select record_key, match_key, within, true, 0, 'same_' || kind || '_in_company'
    from keys
    union all
    select record_key, match_key || ' ' || second_key, within, true, form_number, 'same_name_in_company'
    from groups
    where kind = 'name' and name_kind = 'full'
    union all
    -- the patronymic is missing on one side, and one name there fits
    select record_key, match_key, within, is_head, head_number, 'same_short_name_in_company'
    from groups
    where kind = 'name' and is_head_full and (is_head or name_kind = 'part')
),

starred as (
    select
        *,
        min(record_key) filter (is_head) over (partition by rule, match_key, within, group_number) as left_key
    from ruled
    where rule is not null
),

candidates as (
    select left_key, record_key as right_key, rule, match_key, within
    from starred
    where left_key <> record_key and not (rule = 'same_short_name_in_company' and is_head)
)

select * from candidates
