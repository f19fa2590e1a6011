{{ config(materialized='view') }}
-- What the CRM should hold of a company: its golden record, and what it ordered.
with golden as (
    select * from {{ ref('int_companies__deduplicated') }}
),

orders as (
    select * from {{ ref('int_orders__by_company') }}
),

published as (
    select
        golden.*,
        coalesce(order_count, 0) as order_count,
        coalesce(order_total, 0)::decimal(18, 2) as order_total,
        last_order_at,
        {{ moscow_day('last_order_at') }} as last_order_on
    from golden
    left join orders using (company_id)
)

select * from published
