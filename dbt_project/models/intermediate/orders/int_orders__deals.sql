{{ config(materialized='view') }}
-- What the CRM should hold of an order: a deal of its company, closed once it is won or lost.
with orders as (
    select * from {{ ref('int_orders__outcomes') }} where reason is null
),

statuses as (
    select * from {{ ref('order_statuses') }}
),

contacts as (
    select record_key as contact_key, contact_id from {{ ref('int_contacts__outcomes') }}
),

deals as (
    select
        record_key as deal_id,
        company_id, contact_id,
        'Заказ ' || coalesce(order_number, source_id) as title,
        status,
        amount, currency,
        ordered_at,
        case when is_won or is_lost then changed_at end as closed_at,
        {{ moscow_day('ordered_at') }} as ordered_on,
        {{ moscow_day('closed_at') }} as closed_on
    from orders
    inner join statuses using (status)
    left join contacts using (contact_key)
)

select * from deals
