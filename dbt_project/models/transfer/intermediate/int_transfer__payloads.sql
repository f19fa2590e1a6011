-- What is sent of every record that is made, changed or deleted: its fields, what the move adds to them, and the key of
-- what has no id.
with fates as (
    select * from {{ ref('int_transfer__fates') }} where action <> 'none'
),

cloud_host as (
    select host from {{ ref('stg_portals__snapshots') }} where side = 'cloud'
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
    select * from {{ ref('int_transfer__sent_fields') }}
    union all
    select * from no_rows
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
