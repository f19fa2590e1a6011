-- What somebody did in the box before its baseline was read, as far as that can be seen. Changed: the box's time of
-- change is later than the cloud's, which only goes on from the backup. Made: the cloud has not this record, and gave
-- its number or a higher one to another before this was made. What both have changed since, what was deleted in the
-- box, and parts without times of their own cannot be seen.
with records as (
    select
        side, entity, source_id, try_cast(source_id as bigint) as number,
        try_cast(coalesce(
            payload ->> '$.createdTime', payload ->> '$.DATE_CREATE', payload ->> '$.CREATED'
        ) as timestamptz) as created_at,
        try_cast(coalesce(payload ->> '$.updatedTime', payload ->> '$.LAST_UPDATED') as timestamptz) as changed_at
    from {{ ref('stg_portals__records') }}
    where side in ('cloud', 'baseline') and entity in ('company', 'contact', 'lead', 'deal', 'activity')
),

cloud as (
    select
        *,
        -- the earliest time at which it gave out this number or a higher one
        min(created_at) over (
            partition by entity order by number rows between current row and unbounded following
        ) as given_out_at
    from records
    where side = 'cloud'
),

baseline as (
    select * from records where side = 'baseline'
),

restored_until as (
    select entity, max(baseline.created_at) as created_at
    from baseline
    semi join cloud using (entity, source_id, created_at)
    group by entity
),

changed as (
    select baseline.entity, baseline.source_id, 'changed' as what, baseline.changed_at as done_at
    from baseline
    inner join cloud using (entity, source_id, created_at)
    where baseline.changed_at > cloud.changed_at
),

of_the_box as (
    select * from baseline
    anti join cloud using (entity, source_id, created_at)
),

made as (
    select of_the_box.entity, of_the_box.source_id, 'made' as what, of_the_box.created_at as done_at
    from of_the_box
    asof left join cloud on cloud.entity = of_the_box.entity and cloud.number >= of_the_box.number
    left join restored_until on restored_until.entity = of_the_box.entity
    where of_the_box.created_at > coalesce(cloud.given_out_at, restored_until.created_at, '-infinity'::timestamptz)
),

work as (
    select * from changed
    union all
    select * from made
)

select * from work
