-- What each side has: the records of the cloud and of the box as they are, and of the box as it was restored. A record
-- that a complete snapshot lacks is not there; snapshots that broke off say nothing.
with versions as (
    select * from {{ ref('stg_portals__versions') }}
),

sides as (
    select * from {{ ref('stg_portals__snapshots') }}
),

present as (
    select sides.side, sides.host, versions.entity, versions.source_id, versions.digest, versions.payload
    from sides
    inner join versions
        on versions.portal = sides.portal
        and {{ transfer_was_in('versions', 'sides.snapshot_id') }}
)

select * from present
