-- Companies that more than one shop knows, and what each sold them, which may be nothing: one row per company and shop.
with companies as (
    select company_id, inn, title, order_total from {{ ref('crm_companies') }} where contains(sources, ',')
),

records as (
    select company_id, source, count(*) as record_count from {{ ref('int_companies__outcomes') }}
    where company_id is not null
    group by all
),

orders as (
    select * from {{ ref('int_orders__counted') }}
),

sold as (
    select
        company_id, source,
        count(*) as order_count,
        sum(amount) filter (currency = 'RUB') as order_total,
        max(ordered_at) as last_order_at
    from orders
    group by all
),

shared as (
    select
        company_id, inn, title, records.source,
        record_count,
        coalesce(order_count, 0) as order_count,
        coalesce(sold.order_total, 0)::decimal(18, 2) as order_total,
        companies.order_total as order_total_of_all,
        last_order_at
    from companies
    inner join records using (company_id)
    left join sold using (company_id, source)
)

select * from shared
