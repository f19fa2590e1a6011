-- Which snapshots a move looks at, one row a side: the newest complete one of each portal, and of the box also the one
-- that was taken right after the restore, before anybody worked in it. A baseline of another box says nothing.
with complete as (
    select
        source as portal, snapshot_id, portal as host, label, started_at, completed_at,
        -- when the parts of all owners were read last; the first reading of a portal reads them all
        coalesce(
            max(case when reads_all then completed_at end) over until_then, min(completed_at) over until_then
        ) as parts_read_at
    from {{ source('ops', 'snapshots') }}
    where completed_at is not null and source in ('cloud', 'box')
    window until_then as (partition by source, portal order by snapshot_id)
),

newest as (
    select * from complete
    qualify row_number() over (partition by portal order by snapshot_id desc) = 1
),

baseline as (
    select complete.*
    from complete
    semi join newest using (portal, host)
    where complete.portal = 'box' and complete.label = 'baseline'
    qualify row_number() over (order by snapshot_id desc) = 1
),

sides as (
    select portal as side, * from newest
    union all
    select 'baseline' as side, * from baseline
)

select * from sides
