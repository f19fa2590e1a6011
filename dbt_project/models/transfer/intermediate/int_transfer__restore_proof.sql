-- How many of the cards that the cloud had when the backup was made are in the restored box with their id and time of
-- creation. Both times are the cloud's, so no clock of the box has a say: the last card of the backup is the last one
-- whose time both know. Without a baseline there was no backup, and nothing to prove.
with cards as (
    select side, entity, source_id, try_cast(payload ->> '$.createdTime' as timestamptz) as created_at
    from {{ ref('stg_portals__records') }}
    where entity in ('company', 'contact', 'lead', 'deal')
),

times_of_the_cloud as (
    select (entity, created_at) from cards where side = 'cloud'
),

backups as (
    select entity, max(created_at) as last_created_at
    from cards
    where side = 'baseline' and (entity, created_at) in (from times_of_the_cloud)
    group by entity
),

expected as (
    select cards.* from cards
    inner join backups using (entity)
    where cards.side = 'cloud' and cards.created_at <= backups.last_created_at
),

restored as (
    select * from cards where side = 'baseline'
),

counted as (
    select count(*) as expected_count, count(restored.source_id) as proven_count
    from expected
    left join restored
        on restored.entity = expected.entity
        and restored.source_id = expected.source_id and restored.created_at = expected.created_at
)

select * from counted
