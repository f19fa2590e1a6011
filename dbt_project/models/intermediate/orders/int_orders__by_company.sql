-- What a company ordered in the current and the previous year (from SVOD_SINCE on), cancelled orders left out.
with orders as (
    select * from {{ ref('int_orders__counted') }} where company_id is not null
),

by_company as (
    select
        company_id,
        count(*) as order_count,
        -- other currencies do not add up
        coalesce(sum(amount) filter (currency = 'RUB'), 0)::decimal(18, 2) as order_total,
        max(ordered_at) as last_order_at
    from orders
    group by company_id
)

select * from by_company
