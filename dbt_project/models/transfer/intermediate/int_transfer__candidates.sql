-- Records that have to be looked at field by field. A record that is the same in the cloud, in the box and as it was
-- restored needs no look, unless something that it points to is another in the box: then equal values say different
-- things. That way a portal of 400,000 cards is compared as fast as what changed in it.
with identities as (
    select * from {{ ref('int_transfer__identities') }}
),

moved as ( -- what has another value in the box, or none
    select kind, source_value from {{ ref('int_transfer__references') }}
    where not is_identity
),

cells as (
    select entity, source_id, unnest(json_keys(payload)) as field, unnest(json_extract(payload, '$.*')) as value
    from {{ ref('stg_portals__records') }}
    where side = 'cloud'
        and exists (from moved)
        and (entity, source_id) in (select (entity, source_id) from identities where is_as_restored)
),

pointers as (
    select
        cells.entity, cells.source_id, fields.kind,
        unnest({{ transfer_elements('cells.value') }}) as element
    from cells
    inner join {{ ref('int_transfer__fields') }} as fields using (entity, field)
    where fields.kind not in ('value', 'file', 'fm', 'rows')
),

pointing_elsewhere as (
    select distinct pointers.entity, pointers.source_id
    from pointers
    inner join moved
        on moved.source_value = regexp_replace(pointers.element, '^[A-Z]+_', '')
        and (moved.kind = pointers.kind or pointers.kind in ('owner', 'crm', 'communications'))
),

candidates as (
    select * from identities
    where not is_as_restored
    union all
    select identities.* from identities
    semi join pointing_elsewhere using (entity, source_id)
    where is_as_restored
)

select * from candidates
