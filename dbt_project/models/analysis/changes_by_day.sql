-- What was sent on each day, Moscow time: parts made and adopted since this is kept, parts changed and taken away.
with ledger as (
    select * from {{ source('sync', 'ledger') }} where known_since is not null
),

history as (
    select * from {{ source('sync', 'history') }} where action <> 'unseen'
),

sent as (
    select portal, entity, case when is_adopted then 'adopt' else 'create' end as action, known_since as sent_at
    from ledger
    union all
    select portal, entity, action, sent_at from history
),

by_day as (
    select {{ moscow_day('sent_at') }} as day, portal, entity, action, count(*) as part_count
    from sent
    group by all
)

select * from by_day
