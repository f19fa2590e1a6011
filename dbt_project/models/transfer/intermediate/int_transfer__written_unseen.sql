-- Records of the box that say what a push wrote which this warehouse knows nothing of, for it was put back from an
-- older copy: who changed them last is the user that the move writes as, at such a time; or the move has made them
-- since then, and they are as they were made: an import carries the cloud's own time of change along.
with pushes as (
    select * from {{ ref('stg_transfer__unseen_pushes') }}
),

records as (
    select
        entity, source_id as box_key,
        try_cast(coalesce(
            payload ->> '$.updatedTime', payload ->> '$.LAST_UPDATED', payload ->> '$.DATE_MODIFY'
        ) as timestamptz) at time zone 'UTC' as changed_at,
        coalesce(payload ->> '$.updatedBy', payload ->> '$.EDITOR_ID', payload ->> '$.MODIFY_BY_ID') as changed_by,
        payload ->> '$.UF_CRM_SVOD_SOURCE' as mark
    from {{ ref('stg_portals__records') }}
    where side = 'box' and exists (from pushes)
),

cloud_host as (
    select host from {{ ref('stg_portals__snapshots') }} where side = 'cloud'
),

known as (
    select entity, target_id::varchar as box_key from {{ ref('stg_transfer__ledger') }}
    where target_id is not null and not is_adopted
),

changed as (
    select records.entity, records.box_key
    from records
    inner join pushes
        on records.changed_by = pushes.user_id and records.changed_at between pushes.since and pushes.until
),

made as (
    select records.entity, records.box_key
    from records
    inner join pushes on records.changed_at < pushes.since
    anti join known using (entity, box_key)
    where starts_with(records.mark, (from cloud_host) || ':')
),

written as (
    select * from changed
    union
    select * from made
)

select * from written
