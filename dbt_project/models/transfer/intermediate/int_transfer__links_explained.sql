-- Links of both portals, and whether one that only one of them has is explained: by the difference of the record that
-- has it, by what it leads to, or because an activity became a comment, which hangs on its card in another way.
with links as (
    select * from {{ ref('int_transfer__links') }}
),

as_comments as (
    select entity, source_id from {{ ref('int_transfer__identities') }}
    where entity = 'activity' and starts_with(box_key, 'comment:')
),

explained as (
    select entity, source_id from {{ ref('transfer_differences') }}
    where difference <> 'equal' and is_explained and source_id is not null
    union all
    select entity, source_id from as_comments
    union all
    select entity, 'box:' || box_key from {{ ref('int_transfer__extras') }}
    where is_explained
),

not_moved as (
    select kind as entity, source_value as source_id from {{ ref('int_transfer__references') }}
    where proof in ('not_moved', 'deleted_in_box')
),

judged as (
    select
        links.*,
        holders.source_id is not null or targets.source_id is not null or absent.source_id is not null
            or links.is_orphan_in_cloud
            -- the portal binds an activity to its partners by itself
            or (links.entity = 'activity' and not links.is_in_cloud) as is_explained
    from links
    left join explained as holders on holders.entity = links.entity and holders.source_id = links.source_id
    left join explained as targets on targets.entity = links.to_entity and targets.source_id = links.to_source_id
    left join not_moved as absent on absent.entity = links.to_entity and absent.source_id = links.to_source_id
)

select * from judged
