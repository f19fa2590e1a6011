-- Orders by month and shop since the period began, Moscow time; cancelled ones are counted apart and add nothing.
with orders as (
    select * from {{ ref('int_orders__outcomes') }} where not is_deleted and ordered_at >= {{ period_start() }}
),

statuses as (
    select status, counts_for_totals from {{ ref('order_statuses') }}
),

by_month as (
    select
        date_trunc('month', {{ moscow_day('ordered_at') }})::date as month,
        source,
        count(*) filter (counts_for_totals) as order_count,
        coalesce(sum(amount) filter (counts_for_totals and currency = 'RUB'), 0)::decimal(18, 2) as order_total,
        coalesce(sum(amount) filter (counts_for_totals and currency = 'RUB' and reason is null), 0)::decimal(18, 2)
            as crm_total,
        count(*) filter (not counts_for_totals) as cancelled_count,
        count(*) filter (currency <> 'RUB') as other_currency_count
    from orders
    left join statuses using (status)
    group by all
)

select * from by_month
