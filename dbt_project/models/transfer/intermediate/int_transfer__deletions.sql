-- What the cloud has no more and the box still has: records that were restored, and cards that the move made. Where the
-- newest snapshot of the cloud is missing, nothing is gone. One that somebody has changed in the box is left to people.
with records as (
    select
        side, host, entity, source_id, digest,
        try_cast(coalesce(
            payload ->> '$.createdTime', payload ->> '$.DATE_CREATE', payload ->> '$.CREATED'
        ) as timestamptz) as created_at,
        payload ->> '$.UF_CRM_SVOD_SOURCE' as mark
    from {{ ref('stg_portals__records') }}
    where entity in (
        'company', 'requisite', 'bank_detail', 'address', 'contact', 'lead', 'deal', 'product_rows', 'requisite_link',
        'activity'
    )
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
        box.digest <> baseline.digest as is_changed_in_box,
        baseline.created_at
    from baseline
    inner join box using (entity, source_id)
    anti join cloud using (entity, source_id)
    where coalesce(baseline.mark, '') = '' and exists (from cloud_host)
),

made_by_us as (
    select
        box.entity, replace(box.mark, host.host || ':', '') as source_id, box.source_id as box_key,
        false as is_changed_in_box, box.created_at
    from box
    inner join cloud_host as host on starts_with(box.mark, host.host || ':')
    anti join cloud on cloud.entity = box.entity and host.host || ':' || cloud.source_id = box.mark
),

everything as (
    select * from restored
    union
    select * from made_by_us
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
        is_changed_in_box, created_at
    from (select *, string_split(box_key, ':') as key_parts from everything)
    qualify row_number() over (partition by entity, source_id order by box_key) = 1
)

select * from with_targets
