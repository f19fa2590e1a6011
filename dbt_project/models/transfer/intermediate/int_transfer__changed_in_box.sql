-- Records that the cloud has no more and that people have changed in the box: a field says there what neither the
-- restore nor any version of the cloud said. What points to another record is not looked at, for that is told by other
-- ids, and what the portal writes by itself neither.
with versions as (
    select * from {{ ref('stg_portals__versions') }} where portal = 'cloud'
),

records as (
    select * from {{ ref('stg_portals__records') }}
    where side in ('box', 'baseline', 'cloud') and {{ transfer_is_record('entity') }} and entity <> 'comments'
),

cloud as (
    select entity, source_id from records where side = 'cloud'
),

cloud_host as (
    select host from {{ ref('stg_portals__snapshots') }} where side = 'cloud'
),

keys as ( -- of the cloud and of the box
    select entity, source_id, source_id as box_key from records
    where side = 'baseline'
    union
    select
        entity, replace(payload ->> '$.UF_CRM_SVOD_SOURCE', (from cloud_host) || ':', ''), source_id
    from records
    where side = 'box' and payload ->> '$.UF_CRM_SVOD_SOURCE' is not null
    union
    select entity, source_id, target_id from {{ ref('stg_transfer__id_map') }}
),

gone as (
    select * from keys
    anti join cloud using (entity, source_id)
),

documents as (
    select records.side, gone.entity, gone.box_key, records.payload
    from gone
    inner join records on records.entity = gone.entity and records.source_id = gone.box_key
    where records.side in ('box', 'baseline')
    union all
    select 'past', gone.entity, gone.box_key, versions.payload
    from gone
    inner join versions using (entity, source_id)
),

cells as (
    select
        side, entity, box_key,
        unnest(json_keys(payload)) as field, unnest(json_extract(payload, '$.*')) as value
    from documents
),

compared as (
    select
        cells.side, cells.entity, cells.box_key, cells.field,
        case when fields.kind = 'fm'
            then array_to_string(
                list_sort(list_transform(try_cast(cells.value as json[]), lambda line: line ->> '$.value')), ' '
            )
            else coalesce({{ transfer_canonical('cells.value') }}, '') end as canonical
    from cells
    left join {{ ref('int_transfer__fields') }} as fields using (entity, field)
    where coalesce(fields.kind, 'value') in ('value', 'fm', 'stage', 'funnel', 'currency')
        and coalesce(fields.is_compared, true) and coalesce(fields.sent, 'always') <> 'never'
        and cells.entity <> 'product_rows'
),

known as (
    select entity, box_key, field, list(canonical) as said from compared
    where side <> 'box'
    group by all
),

changed as (
    select distinct compared.entity, compared.box_key
    from compared
    inner join known using (entity, box_key, field)
    where compared.side = 'box' and not list_contains(known.said, compared.canonical)
)

select * from changed
