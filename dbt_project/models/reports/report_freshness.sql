-- How fresh what came from each shop is: when it was read, its newest change, and how long a change took to be landed
-- and, of what is a card, to reach the CRM (of the last seven days).
with reads as (
    select source, min(read_at) as read_at, min(failing_since) as failing_since, any_value(problem) as problem
    from {{ source('ops', 'source_reads') }}
    group by source
),

records as (
    select source, 'company' as entity, record_key, changed_at, ingested_at from {{ ref('int_companies__unioned') }}
    union all
    select source, 'deal', record_key, changed_at, ingested_at from {{ ref('int_orders__unioned') }}
),

newest as (
    select source, max(changed_at) as newest_change_at, max(ingested_at) as newest_landed_at
    from records
    group by source
),

golden as (
    select 'company' as entity, record_key, company_id as origin_id
    from {{ ref('int_companies__outcomes') }}
    where company_id is not null
    union all
    select 'deal' as entity, record_key, record_key as origin_id
    from {{ ref('int_orders__outcomes') }}
    where reason is null
),

cards as (
    select entity, origin_id, synced_at from {{ ref('cards') }} where synced_at > {{ utc_now() }} - interval 7 day
),

sent as ( -- what was sent for another reason than this change is no lag of it
    select
        source,
        case when changed_at > {{ utc_now() }} - interval 7 day then epoch(ingested_at - changed_at) end
            as seconds_to_land, -- what a first load brings is years old
        epoch(synced_at - ingested_at) as seconds_to_send
    from records
    inner join golden using (entity, record_key)
    inner join cards using (entity, origin_id)
    where synced_at >= ingested_at and ingested_at > {{ utc_now() }} - interval 7 day
),

lags as (
    select
        source,
        count(*) as sent_count,
        median(seconds_to_land) as median_seconds_to_land,
        median(seconds_to_send) as median_seconds_to_send,
        quantile_cont(seconds_to_send, 0.95) as slow_seconds_to_send
    from sent
    group by source
),

fresh as (
    select
        source, read_at, failing_since, problem, newest_change_at, newest_landed_at,
        coalesce(sent_count, 0) as sent_count, median_seconds_to_land, median_seconds_to_send, slow_seconds_to_send
    from newest
    full join reads using (source) -- one that never could be read has no records
    left join lags using (source)
)

select * from fresh
