-- As of which reading of the very cloud the fields of a record were sent to the very box last; field '': all of them,
-- when the record was made.
with delivered as (
    select * from {{ source('transfer', 'delivered') }}
),

sides as (
    select * from {{ ref('stg_portals__snapshots') }}
),

of_this_move as (
    select delivered.entity, delivered.source_id, delivered.field, delivered.snapshot_id
    from delivered
    inner join sides as boxes on boxes.side = 'box' and boxes.host = delivered.portal
    inner join sides as clouds on clouds.side = 'cloud' and clouds.host = delivered.source_portal
)

select * from of_this_move
