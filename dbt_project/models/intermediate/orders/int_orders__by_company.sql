-- What a company ordered in the current and the previous year (from SVOD_SINCE on), cancelled orders left out.
with orders as (
    select * from {{ ref('int_orders__outcomes') }} where company_id is not null and not is_deleted
),

statuses as (
    select * from {{ ref('order_statuses') }} where counts_for_totals
),

by_company as (
    select
        company_id,
        count(*) as order_count,
        -- other currencies do not add up
        coalesce(sum(amount) filter (currency = 'RUB'), 0)::decimal(18, 2) as order_total,
        max(ordered_at) as last_order_at
    from orders
    inner join statuses using (status)
    where ordered_at >= {{ period_start() }}
    group by company_id
)

select * from by_company
