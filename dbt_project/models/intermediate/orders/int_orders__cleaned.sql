{{ config(materialized='view') }}
-- Orders of all shops, cleaned, with the text as entered beside it.
with orders as (
    select * from {{ ref('int_orders__unioned') }}
),

cleaned as (
    select
        source, record_key, source_order_id,
        company_key, contact_key,
        {{ plain_characters('order_number_raw') }} as order_number, order_number_raw,
        lower(trim(status_raw)) as status, status_raw,
        {{ amount_read('amount_raw') }} as amount, amount_raw,
        {{ currency_read('currency_raw') }} as currency, currency_raw,
        is_deleted,
        ordered_at, changed_at,
        source_position, run_id, ingested_at
    from orders
)

select * from cleaned
