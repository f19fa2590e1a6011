-- Links that only one of the portals has, and those that lead nowhere. An orphan of the box that the cloud has as well
-- was one before the move.
with links as (
    select * from {{ ref('int_transfer__links_explained') }}
),

odd as (
    select
        entity, source_id, to_entity, to_source_id,
        case when not is_in_box then 'missing' when not is_in_cloud then 'extra' else 'both' end as side,
        is_in_cloud = is_in_box or is_explained as is_explained,
        is_orphan_in_cloud, is_orphan_in_box
    from links
    where is_in_cloud <> is_in_box or is_orphan_in_cloud or is_orphan_in_box
)

select * from odd
