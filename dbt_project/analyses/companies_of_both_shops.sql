-- Customers both shops sell to, with what each sold.
with companies as (
    select * from {{ ref('crm_companies') }} where sources = 'shop_a, shop_b'
),

orders as (
    select * from {{ ref('int_orders__outcomes') }} where not is_deleted
),

statuses as (
    select status from {{ ref('order_statuses') }} where counts_for_totals
),

sold as (
    select
        company_id, title, order_total,
        sum(amount) filter (source = 'shop_a') as sold_by_shop_a,
        sum(amount) filter (source = 'shop_b') as sold_by_shop_b
    from companies
    left join (from orders semi join statuses using (status)) as counted using (company_id)
    group by all
    order by order_total desc
    limit 100
)

select * from sold
