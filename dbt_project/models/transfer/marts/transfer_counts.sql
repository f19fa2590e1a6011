-- What there is in both portals, counted side by side in terms of the box, with names for people. Equal: aside from
-- what is counted apart, whose differences have a reason.
with tallies as (
    select * from {{ ref('int_transfer__tallies') }}
),

entries as (
    select
        case kind when 'status:STATUS' then 'stage' when 'status:SOURCE' then 'source' else kind end as breakdown,
        case kind when 'status:STATUS' then 'lead' when 'stage' then 'deal' end as entity,
        target_value as group_value, min(entry_name) as group_name
    from {{ ref('int_transfer__dictionaries') }}
    where kind in ('stage', 'status:STATUS', 'funnel', 'status:SOURCE')
    group by all
),

users as (
    select
        'assignee' as breakdown, source_id as group_value,
        trim(concat_ws(' ', payload ->> '$.LAST_NAME', payload ->> '$.NAME')) as group_name
    from {{ ref('stg_portals__records') }}
    where side = 'box' and entity = 'user'
),

links as (
    select
        entity, 'link' as breakdown, to_entity as group_value,
        count(*) filter (is_in_cloud) as cloud_count,
        count(*) filter (is_in_box) as box_count,
        count(*) filter (is_in_cloud and not is_in_box and is_explained) as cloud_apart_count,
        count(*) filter (is_in_box and not is_in_cloud and is_explained) as box_apart_count
    from {{ ref('int_transfer__links_explained') }}
    group by all
),

counts as (
    select * from tallies
    union all by name
    select * from links
),

named as (
    select
        counts.entity, counts.breakdown, counts.group_value,
        coalesce(entries.group_name, nullif(users.group_name, '')) as group_name,
        cloud_count, box_count, cloud_apart_count, box_apart_count,
        cloud_count - cloud_apart_count = box_count - box_apart_count as is_equal
    from counts
    left join entries
        on entries.breakdown = counts.breakdown and entries.group_value = counts.group_value
        and coalesce(entries.entity, counts.entity) = counts.entity
    left join users on users.breakdown = counts.breakdown and users.group_value = counts.group_value
)

select * from named
