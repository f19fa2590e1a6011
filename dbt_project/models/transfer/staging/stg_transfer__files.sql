-- Files that were read by their content, of the two portals as they are: those of records that are not as restored.
with files as (
    select * from {{ source('transfer', 'files') }}
),

sides as (
    select side, host from {{ ref('stg_portals__snapshots') }} where side in ('cloud', 'box')
),

of_this_move as (
    select
        sides.side, files.entity, files.source_key as source_id, files.field, files.file_id,
        files.name as file_name, files.bytes as file_bytes, files.sha256, files.problem
    from files
    inner join sides on sides.host = files.portal
)

select * from of_this_move
