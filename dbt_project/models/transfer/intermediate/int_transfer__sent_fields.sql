-- The fields of records that are made or changed, as they are sent. A create has all fields that say something (and the
-- empty codes, for the portal fills in the first of a dictionary), an update what changed; but methods that replace a
-- whole record (addresses, chosen requisites, activities) get it whole.
with fates as (
    select * from {{ ref('int_transfer__fates') }} where action in ('create', 'update')
),

readings as (
    select * from {{ ref('int_transfer__values') }} where side = 'cloud'
),

whole as (
    select
        fates.entity, fates.source_id, readings.field, readings.sent,
        case when readings.canonical is null then to_json('') else readings.value end as value
    from fates
    inner join readings using (entity, source_id)
    where readings.sent <> 'never'
        and not (readings.field = 'COMMUNICATIONS' and readings.canonical is null)
        and (
            (fates.action = 'create' and readings.canonical is not null)
            or (fates.action = 'update' and fates.entity in ('address', 'requisite_link', 'activity'))
        )
),

empty as ( -- what points to nothing, where that has to be said
    select
        cells.entity, cells.source_id, cells.field, cells.sent,
        case when cells.entity = 'requisite_link' then to_json(0) else to_json('') end as value
    from {{ ref('int_transfer__cells') }} as cells
    inner join fates using (entity, source_id)
    anti join readings using (entity, source_id, field)
    where cells.side = 'cloud' and cells.sent <> 'never' and fates.action in ('create', 'update')
        and (
            cells.entity = 'requisite_link'
            or (fates.action = 'create' and (cells.kind like 'status:%' or cells.kind = 'stage'))
        )
),

partners as ( -- a portal takes no activity without a partner: where the cloud names none that is there, the owner
    select
        fates.entity, fates.source_id, 'COMMUNICATIONS' as field, 'create' as sent,
        to_json([json_object(
            'VALUE', '', 'ENTITY_TYPE_ID', types.value ->> '$', 'ENTITY_ID', owners.value
        )]) as value
    from fates
    inner join readings as owners using (entity, source_id)
    inner join readings as types using (entity, source_id)
    anti join (
        select * from readings where field = 'COMMUNICATIONS' and canonical is not null
    ) as named using (entity, source_id)
    where fates.entity = 'activity' and fates.action in ('create', 'update')
        and owners.field = 'OWNER_ID' and types.field = 'OWNER_TYPE_ID'
),

changed as (
    select decided.entity, decided.source_id, decided.field, decided.sent, decided.value
    from {{ ref('int_transfer__comparison') }} as decided
    inner join fates using (entity, source_id)
    where fates.action = 'update' and decided.is_updated
        and fates.entity not in ('address', 'requisite_link', 'activity')
),

sent as (
    select * from whole
    union all
    select * from empty
    union all
    select * from partners
    union all
    select * from changed
)

select * from sent
