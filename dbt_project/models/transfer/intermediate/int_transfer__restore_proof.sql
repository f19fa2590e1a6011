-- How many of the cards that the cloud had when the backup was made are in the restored box with their id and time of
-- creation, by kind. Both times are the cloud's, so no clock of the box has a say: the backup goes up to the last card
-- of any kind whose time both know. Without a baseline there was no backup, and nothing to prove.
with cards as (
    select side, entity, source_id, try_cast(payload ->> '$.createdTime' as timestamptz) as created_at
    from {{ ref('stg_portals__records') }}
    where entity in ('company', 'contact', 'lead', 'deal')
),

times_of_the_cloud as (
    select (entity, created_at) from cards where side = 'cloud'
),

restored as (
    select * from cards where side = 'baseline'
),

backup as (
    select count(*) as restored_count, max(created_at) as last_created_at
    from restored
    where (entity, created_at) in (from times_of_the_cloud)
),

expected as (
    select cards.*
    from cards, backup
    -- a baseline that has nothing in common with the cloud is none of it
    where cards.side = 'cloud' and exists (from restored)
        and (cards.created_at <= backup.last_created_at or backup.restored_count = 0)
),

counted as (
    select expected.entity, count(*) as expected_count, count(restored.source_id) as proven_count
    from expected
    left join restored
        on restored.entity = expected.entity
        and restored.source_id = expected.source_id and restored.created_at = expected.created_at
    group by expected.entity
)

select * from counted
