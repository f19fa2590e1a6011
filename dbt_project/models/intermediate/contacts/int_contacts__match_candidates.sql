-- Pairs that some evidence joins, before contradictions are looked for: stars, in which each record of a group of
-- compatible names on a key is paired with the first that has the group's best name. A pair says by which rule and key.
with keys as (
    select *, kind || ' ' || match_key as set_key from {{ ref('int_contacts__match_keys') }} where belongs_to = 'nobody'
),

groups as (
    select *, kind || ' ' || match_key as set_key from {{ ref('int_contacts__name_groups') }}
),

weighed as ( -- all names beside it may be one person's; "Анна" at a telephone of two companies need not be
    select
        *,
        kind <> 'name' and within = '' and group_count = 1
        and (belongs_to = 'a person' or not is_head_bare) as is_personal
    from groups
),

personal as (
    select kind, match_key from weighed where is_personal group by all
),

ruled as (
    select
        record_key, set_key, match_key, within, is_head, head_number as group_number,
        case
            when is_personal then 'same_' || kind
            -- what others give too proves somebody by two parts of a name; a hub of many names proves nobody
            when belongs_to = 'a person' and is_head_named and not fits_several and group_count <= 12
                then 'same_shared_' || kind
        end as rule
    from weighed
    where kind <> 'name' and within = '' and name_kind <> 'text'
    union all
    select record_key, set_key, match_key, within, is_head, head_number, 'same_' || kind || '_in_company'
    from groups
    anti join personal using (kind, match_key)
    where kind <> 'name' and within <> '' and not fits_several
    union all
    select record_key, set_key, match_key, within, true, 0, 'same_' || kind || '_in_company'
    from keys
    union all
    select record_key, set_key, match_key || ' ' || second_key, within, true, form_number, 'same_name_in_company'
    from groups
    where kind = 'name' and name_kind = 'full'
    union all
    -- the patronymic is missing on one side, and one name there fits
    select record_key, set_key, match_key, within, is_head, head_number, 'same_short_name_in_company'
    from groups
    where kind = 'name' and is_head_full and (is_head or name_kind = 'part')
),

starred as (
    select
        *,
        min(case when is_head then record_key end)
            over (partition by rule, set_key, match_key, within, group_number) as left_key
    from ruled
    where rule is not null
),

candidates as (
    select left_key, record_key as right_key, rule, match_key, within, set_key
    from starred
    where left_key <> record_key and not (rule = 'same_short_name_in_company' and is_head)
)

select * from candidates
