-- What activities of the cloud are bound to and the box's are not yet, one row a binding; of activities that are there,
-- or that are about to be made. A binding cannot be seen on the activity itself, so it is compared for all of them.
with links as (
    select source_id, to_entity, to_source_id
    from {{ ref('int_transfer__links_explained') }}
    where entity = 'activity' and is_in_cloud and not is_in_box and not is_explained
        and to_entity in ('lead', 'deal', 'contact', 'company')
),

activities as (
    select entity, source_id, position
    from {{ ref('transfer_records') }}
    where entity = 'activity' and outcome <> 'unsupported'
),

owners as ( -- an activity is bound to its owner as it is made
    select source_id, owner_entity as to_entity, owner_id as to_source_id
    from {{ ref('int_transfer__owners') }}
    where entity = 'activity'
),

targets as (
    select source_value as to_source_id, kind as to_entity, target_json
    from {{ ref('int_transfer__references') }}
    where is_resolved and target_json is not null
),

bindings as (
    select
        links.source_id, links.to_entity || '/' || links.to_source_id as binding_key,
        json_object(
            'entityTypeId',
            case links.to_entity when 'lead' then 1 when 'deal' then 2 when 'contact' then 3 else 4 end,
            'entityId', targets.target_json
        ) as fields,
        activities.position
    from links
    inner join activities using (source_id)
    inner join targets using (to_entity, to_source_id)
    anti join owners using (source_id, to_entity, to_source_id)
)

select * from bindings
