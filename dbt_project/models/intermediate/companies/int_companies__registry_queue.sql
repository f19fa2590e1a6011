-- Every INN that the registry must answer for, once, in the order in which it is asked: a quota may not do for all.
with companies as (
    select * from {{ ref('int_companies__validated') }}
),

activity as (
    select * from {{ ref('int_companies__activity') }}
),

orders as (
    select company_key as record_key, max(ordered_at) as last_ordered_at
    from {{ ref('int_orders__unioned') }}
    group by company_key
),

asked as (
    select companies.inn, companies.run_id, companies.ingested_at, last_ordered_at
    from companies
    inner join activity using (record_key)
    left join orders using (record_key)
    where is_inn_valid and not is_deleted and is_in_period
),

increment as (
    select arg_max(run_id, ingested_at) as run_id from asked
),

by_inn as (
    select
        asked.inn,
        bool_or(asked.run_id = increment.run_id) as is_in_increment,
        max(last_ordered_at) as last_ordered_at
    from asked
    cross join increment
    group by asked.inn
),

prioritized as (
    select
        *,
        case
            when is_in_increment then 1
            when last_ordered_at >= {{ period_start() }} then 2
            else 3
        end as priority
    from by_inn
),

queue as (
    select
        inn,
        row_number() over (order by priority, last_ordered_at desc nulls last, inn) as place,
        priority,
        ['new in the last increment', 'has orders in the period', 'others'][priority] as reason,
        last_ordered_at,
        -- verdicts that came on one day would all expire on one day
        1 + (inn::bigint * 48271 % 1000) / 3000 as ttl_factor
    from prioritized
)

select * from queue
