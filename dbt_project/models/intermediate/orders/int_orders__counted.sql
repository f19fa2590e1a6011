{{ config(materialized='view') }}
-- Orders that count for what somebody bought, whatever became of them: placed since the period began (the current and
-- the previous year), not gone from the shop, not cancelled.
with orders as (
    select * from {{ ref('int_orders__outcomes') }} where not is_deleted and ordered_at >= {{ period_start() }}
),

statuses as (
    select status from {{ ref('order_statuses') }} where counts_for_totals
),

counted as (
    select orders.* from orders
    semi join statuses using (status)
)

select * from counted
