-- What the cloud has no more and the box still has: records that were restored, and those that the move made. Where the
-- newest snapshot of the cloud is missing, nothing is gone. One that people have changed in the box is left to people.
with records as (
    select
        side, host, entity, source_id, digest,
        try_cast(coalesce(
            payload ->> '$.createdTime', payload ->> '$.DATE_CREATE', payload ->> '$.CREATED'
        ) as timestamptz) as created_at,
        payload ->> '$.UF_CRM_SVOD_SOURCE' as mark
    from {{ ref('stg_portals__records') }}
    where {{ transfer_is_record('entity') }} and entity <> 'comments'
),

cloud as (
    select * from records where side = 'cloud'
),

cloud_host as (
    select host from {{ ref('stg_portals__snapshots') }} where side = 'cloud'
),

box as (
    select * from records where side = 'box'
),

baseline as (
    select * from records where side = 'baseline'
),

restored as ( -- its id may be that of another card now
    select
        baseline.entity, baseline.source_id, baseline.source_id as box_key,
        baseline.created_at
    from baseline
    inner join box using (entity, source_id)
    anti join cloud using (entity, source_id)
    where coalesce(baseline.mark, '') = '' and exists (from cloud_host)
),

marked as (
    select
        box.entity, replace(box.mark, host.host || ':', '') as source_id, box.source_id as box_key,
        box.created_at
    from box
    inner join cloud_host as host on starts_with(box.mark, host.host || ':')
    anti join cloud on cloud.entity = box.entity and host.host || ':' || cloud.source_id = box.mark
),

mapped as ( -- what carries no mark
    select box.entity, known.source_id, box.source_id as box_key, box.created_at
    from {{ ref('stg_transfer__id_map') }} as known
    inner join box on box.entity = known.entity and box.source_id = known.target_id
    anti join cloud on cloud.entity = known.entity and cloud.source_id = known.source_id
    where known.proof = 'created_by_us' and exists (from cloud_host)
),

everything as (
    select * from restored
    union
    select * from marked
    union
    select * from mapped
),

with_targets as (
    select
        entity, source_id, box_key,
        -- of what has no id of its own, the owner's
        try_cast(key_parts[-1] as bigint) as target_id,
        case entity
            when 'address' then json_object(
                'TYPE_ID', key_parts[1], 'ENTITY_TYPE_ID', key_parts[2], 'ENTITY_ID', key_parts[3]
            )
            when 'requisite_link' then json_object('ENTITY_TYPE_ID', key_parts[1], 'ENTITY_ID', key_parts[2])
            when 'product_rows' then json_object('ownerType', key_parts[1], 'ownerId', key_parts[2])
        end as key_fields,
        created_at
    from (select *, string_split(box_key, ':') as key_parts from everything)
    qualify row_number() over (partition by entity, source_id order by box_key) = 1
),

touched_rows as ( -- rows are one text: other than restored is changed
    select box.entity, box.source_id as box_key
    from box
    inner join baseline using (entity, source_id)
    where box.entity = 'product_rows' and box.digest <> baseline.digest
),

with_changes as (
    select
        with_targets.*,
        changed.box_key is not null or touched_rows.box_key is not null as is_changed_in_box,
        owners.source_id is not null as is_owner_there
    from with_targets
    left join {{ ref('int_transfer__changed_in_box') }} as changed using (entity, box_key)
    left join touched_rows using (entity, box_key)
    left join cloud as owners
        on with_targets.entity = 'product_rows'
        and owners.entity = case split_part(with_targets.source_id, ':', 1) when 'D' then 'deal' else 'lead' end
        and owners.source_id = split_part(with_targets.source_id, ':', 2)
)

select * from with_changes
