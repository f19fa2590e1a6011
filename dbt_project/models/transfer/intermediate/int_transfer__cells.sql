-- The fields of the candidates, one row each: as they are in the cloud (`cloud`) and were in earlier snapshots of it
-- (`past`, until snapshot `version`), in the box, and in the box as it was restored (`baseline`). `source_id` is the
-- cloud's, on every side.
with candidates as (
    select * from {{ ref('int_transfer__candidates') }} where entity <> 'comments'
),

records as (
    select * from {{ ref('stg_portals__records') }}
),

cloud_snapshot as (
    select snapshot_id from {{ ref('stg_portals__snapshots') }} where side = 'cloud'
),

versions as (
    select side, 0 as version, candidates.entity, candidates.source_id, payload
    from candidates
    inner join records on records.entity = candidates.entity and records.source_id = candidates.source_id
    where side = 'cloud'
    union all
    select 'past', versions.to_snapshot, candidates.entity, candidates.source_id, versions.payload
    from candidates
    inner join {{ ref('stg_portals__versions') }} as versions using (entity, source_id)
    where versions.portal = 'cloud' and candidates.is_in_box
        and versions.to_snapshot <= (from cloud_snapshot)
    union all
    select side, 0, candidates.entity, candidates.source_id, payload
    from candidates
    inner join records on records.entity = candidates.entity and records.source_id = candidates.box_key
    where (side = 'box' and candidates.is_in_box) or (side = 'baseline' and candidates.is_in_baseline)
),

bindings as (
    select replace(source_id, 'activity:', '') as source_id, payload -> '$.parts' as bound
    from records
    where side = 'cloud' and entity = 'activity_bindings'
),

documents as (
    select
        versions.* exclude (payload),
        coalesce(payload ->> '$.ENTITY_TYPE_ID', payload ->> '$.OWNER_TYPE_ID') as owner_type_id,
        case
            when versions.entity = 'product_rows' then json_object('productRows', payload -> '$.parts')
            when bindings.bound is not null then json_merge_patch(payload, json_object('BINDINGS', bindings.bound))
            else payload
        end as payload
    from versions
    left join bindings
        on versions.entity = 'activity' and versions.side = 'cloud' and bindings.source_id = versions.source_id
),

cells as materialized ( -- looked at several times
    select
        side, version, entity, source_id, owner_type_id,
        unnest(json_keys(payload)) as field,
        unnest(json_extract(payload, '$.*')) as value
    from documents
),

cards_of_the_box as (
    select distinct entity, field from cells
    where side = 'box' and entity in ('company', 'contact', 'lead', 'deal')
),

parents as ( -- parentId2: a card of another kind that it belongs to; from 128 on one of a smart process
    select
        field, {{ transfer_entity_of_type('substr(field, 9)') }} as kind,
        case when kind is null then 'never' else 'second_pass' end as sent
    from (select distinct field from cells where starts_with(field, 'parentId'))
),

of_newer_portals as ( -- an older box shows these of none of its cards, nor would it take them
    select distinct entity, field, 'never' as sent from cells
    where side = 'cloud' and entity in (select entity from cards_of_the_box)
        and (entity, field) not in (from cards_of_the_box)
),

described as (
    select
        cells.side, cells.version, cells.entity, cells.source_id, cells.field,
        case
            when fields.kind = 'owner' then {{ transfer_entity_of_type('cells.owner_type_id') }}
            else coalesce(fields.kind, parents.kind, 'value')
        end as kind,
        coalesce(fields.sent, parents.sent, of_newer_portals.sent, 'always') as sent,
        coalesce(fields.is_compared, parents.sent <> 'never', of_newer_portals.sent is null) as is_compared,
        case
            when fields.field is not null then fields.reason
            when parents.sent = 'never' then 'smart processes are not moved'
            when of_newer_portals.sent = 'never' then 'the box has no such field'
        end as reason,
        cells.value
    from cells
    left join {{ ref('int_transfer__fields') }} as fields using (entity, field)
    left join parents using (field)
    left join of_newer_portals using (entity, field)
)

select * from described
