-- The proofs that were written down of the very portal that is the box now and of the very cloud: a portal is its host
-- and the mark in it, so that the map of a rehearsal says nothing about the final box.
with proofs as (
    select * from {{ source('transfer', 'id_map') }}
),

sides as (
    select * from {{ ref('stg_portals__snapshots') }}
),

marked as (
    select portal || '#' || mark as target from {{ source('sync', 'portals') }}
    where portal in (select host from sides where side = 'box')
),

of_this_move as (
    select proofs.entity, proofs.source_id, proofs.target_id::varchar as target_id, proofs.proof
    from proofs
    semi join marked using (target)
    where proofs.source_portal in (select host from sides where side = 'cloud')
)

select * from of_this_move
