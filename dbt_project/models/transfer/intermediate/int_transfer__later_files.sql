-- Files that came after their activity was restored or moved, such as the record of a call. What a change of an
-- activity does to its files is not documented (page `timeline/activities/activity-base/crm-activity-update`), so each
-- goes once into a comment of the card.
with lacking as (
    select source_id, file_id, file_name from {{ ref('transfer_files') }}
    where entity = 'activity' and difference = 'missing' and not is_explained
),

activities as (
    select source_id, payload from {{ ref('stg_portals__records') }}
    where side = 'cloud' and entity = 'activity'
),

there as ( -- one that is made now takes its files along
    select source_id from {{ ref('int_transfer__fates') }} where entity = 'activity' and action <> 'create'
),

told as (
    select
        lacking.source_id || ':' || lacking.file_id as source_id,
        try_cast(written.target_id as bigint) as target_id,
        try_cast(activities.payload ->> '$.CREATED' as timestamptz) as created_at,
        json_object(
            'owner', json_object('ref', [owners.owner_entity, owners.owner_id]), 'owner_entity', owners.owner_entity,
            'CREATED', activities.payload -> '$.CREATED', 'AUTHOR', users.user_name,
            'SUBJECT', activities.payload -> '$.SUBJECT', 'NAME', lacking.file_name,
            'FILES', [json_object('file', ['activity', lacking.file_id])]
        ) as fields
    from lacking
    semi join there using (source_id)
    inner join activities using (source_id)
    inner join {{ ref('int_transfer__owners') }} as owners
        on owners.entity = 'activity' and owners.source_id = lacking.source_id
    left join {{ ref('int_transfer__users') }} as users on users.user_id = activities.payload ->> '$.AUTHOR_ID'
    left join {{ ref('stg_transfer__id_map') }} as written
        on written.entity = 'activity_file' and written.source_id = lacking.source_id || ':' || lacking.file_id
)

select * from told
