-- The pairs that stand, each with the rule that made it. Where a chain of pairs would put incompatible names into one
-- cluster (initials that share one phone with one full name and another phone with the other), each group of compatible
-- names in that chain keeps the pairs among its own, and whoever fits two groups is in none.
with recursive candidates as (
    select * from {{ ref('int_contacts__match_candidates') }}
),

contacts as (
    select record_key, {{ name_columns() }} from {{ ref('int_contacts__validated') }} where reason is null
),

components(record_key, component) using key (record_key) as (
    {{ connected_components('candidates') | indent(4) }}
),

chained as (
    select * from components inner join contacts using (record_key)
),

{{ groups_of_names('chained', 'component') }},

contradictory as materialized (
    select record_key, component, head_number from grouped where group_count > 1
),

doubtful as (
    select candidates.*
    from candidates
    semi join contradictory on contradictory.record_key = candidates.left_key
),

starred as ( -- the same keys, starred anew inside each group
    select
        record_key, rule, match_key, within,
        min(record_key) over (partition by rule, match_key, within, component, head_number) as left_key
    from (
        select left_key as record_key, rule, match_key, within from doubtful
        union
        select right_key, rule, match_key, within from doubtful
    )
    inner join contradictory using (record_key)
),

edges as (
    select left_key, right_key, rule, match_key, within
    from candidates
    anti join (select distinct left_key from doubtful) using (left_key)
    union all
    select left_key, record_key as right_key, rule, match_key, within
    from starred
    where left_key <> record_key
)

select * from edges
