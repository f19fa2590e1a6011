-- The pairs that stand, each with the rule that made it. Where a chain of pairs would put incompatible names into one
-- cluster (initials that share one phone with one full name and another phone with the other), only the pairs between
-- equal full names are kept of that chain.
with recursive candidates as (
    select * from {{ ref('int_contacts__match_candidates') }}
),

contacts as (
    select * from {{ ref('int_contacts__validated') }}
),

components(record_key, component) using key (record_key) as (
    {{ connected_components('candidates') | indent(4) }}
),

forms as (
    select distinct component, name_kind, last_key, first_key, second_key, first_initial, second_initial, is_first_known
    from components
    inner join contacts using (record_key)
    where name_kind is not null
),

numbered as (
    select
        *,
        count(*) over (partition by component) as form_count,
        row_number() over (
            partition by component
            order by name_kind, last_key, first_key, second_key, first_initial, second_initial, is_first_known
        ) as form_number
    from forms
),

contradictory as (
    select distinct component from numbered where form_count > 24
    union
    select a.component
    from numbered as a
    inner join numbered as b on b.component = a.component and b.form_number > a.form_number
    where a.form_count between 2 and 24 and not {{ names_agree('a', 'b') }}
),

doubtful as (
    select candidates.*
    from candidates
    inner join components on components.record_key = candidates.left_key
    semi join contradictory using (component)
),

sure as ( -- the same keys, starred anew among equal full names
    select
        record_key, rule, match_key, within,
        min(record_key) over (partition by rule, match_key, within, last_key, first_key, second_key) as left_key
    from (
        select left_key as record_key, rule, match_key, within from doubtful
        union
        select right_key, rule, match_key, within from doubtful
    )
    inner join contacts using (record_key)
    where name_kind = 'full'
),

edges as (
    select left_key, right_key, rule, match_key, within
    from candidates
    anti join (select distinct left_key from doubtful) using (left_key)
    union all
    select left_key, record_key as right_key, rule, match_key, within
    from sure
    where left_key <> record_key
)

select * from edges
