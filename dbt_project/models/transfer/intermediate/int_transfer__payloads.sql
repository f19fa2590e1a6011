-- What is sent of every record that is made, changed or deleted. A create has all fields that say something (and the
-- empty codes, for the portal fills in the first of a dictionary), an update what changed; but methods that replace a
-- whole record (addresses, chosen requisites, activities) get it whole. A deletion of what has no id has its key.
with fates as (
    select * from {{ ref('int_transfer__fates') }} where action <> 'none'
),

readings as (
    select * from {{ ref('int_transfer__values') }} where side = 'cloud'
),

cloud_host as (
    select host from {{ ref('stg_portals__snapshots') }} where side = 'cloud'
),

whole as (
    select
        fates.entity, fates.source_id, readings.field, readings.sent,
        case when readings.canonical is null then to_json('') else readings.value end as value
    from fates
    inner join readings using (entity, source_id)
    where readings.sent <> 'never'
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

partners as ( -- a portal takes no activity without a partner: where the cloud names none, it is the owner
    select
        fates.entity, fates.source_id, 'COMMUNICATIONS' as field, 'create' as sent,
        to_json([json_object(
            'VALUE', '', 'ENTITY_TYPE_ID', types.value ->> '$', 'ENTITY_ID', owners.value
        )]) as value
    from fates
    inner join readings as owners using (entity, source_id)
    inner join readings as types using (entity, source_id)
    anti join (select * from readings where field = 'COMMUNICATIONS') as named using (entity, source_id)
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

marks as (
    select
        entity, source_id, 'UF_CRM_SVOD_SOURCE' as field, 'create' as sent,
        to_json((from cloud_host) || ':' || source_id) as value
    from fates
    where action = 'create' and entity in ('company', 'contact', 'lead', 'deal')
),

comments as (
    select fates.entity, fates.source_id, 'parts' as field, 'always' as sent, comments.moved_comments as value
    from fates
    inner join {{ ref('int_transfer__comments') }} as comments using (source_id)
    where fates.entity = 'comments'
),

beginnings as ( -- with these a comment begins that an activity of an application becomes
    select
        records.entity, records.source_id, 'CREATED' as field, 'create' as sent,
        records.payload -> '$.CREATED' as value
    from {{ ref('stg_portals__records') }} as records
    semi join fates using (entity, source_id)
    where records.side = 'cloud' and records.entity = 'activity'
    union all
    select records.entity, records.source_id, 'AUTHOR', 'create', to_json(users.user_name)
    from {{ ref('stg_portals__records') }} as records
    semi join fates using (entity, source_id)
    inner join {{ ref('int_transfer__users') }} as users on users.user_id = records.payload ->> '$.AUTHOR_ID'
    where records.side = 'cloud' and records.entity = 'activity'
),

keys as (
    select
        deletions.entity, deletions.source_id,
        unnest(json_keys(deletions.key_fields)) as field, 'always' as sent,
        unnest(json_extract(deletions.key_fields, '$.*')) as value
    from {{ ref('int_transfer__deletions') }} as deletions
    semi join (select * from fates where action = 'delete') as deleted using (entity, source_id)
),

no_rows as (
    select deletions.entity, deletions.source_id, 'productRows' as field, 'always' as sent, '[]'::json as value
    from {{ ref('int_transfer__deletions') }} as deletions
    semi join (select * from fates where action = 'update') as emptied using (entity, source_id)
    where deletions.entity = 'product_rows'
),

sent as (
    select * from whole
    union all
    select * from no_rows
    union all
    select * from empty
    union all
    select * from partners
    union all
    select * from changed
    union all
    select * from marks
    union all
    select * from comments
    union all
    select * from beginnings
    union all
    select * from keys
),

payloads as (
    select
        entity, source_id,
        to_json(map(
            list(field order by field) filter (sent <> 'second_pass'),
            list(value order by field) filter (sent <> 'second_pass')
        )) as fields,
        to_json(map(
            list(field order by field) filter (sent = 'second_pass'),
            list(value order by field) filter (sent = 'second_pass')
        )) as second_pass
    from sent
    group by all
)

select * from payloads
