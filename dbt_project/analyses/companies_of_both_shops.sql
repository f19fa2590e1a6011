-- Customers both shops sell to, with what each sold.
select
    company_id, title, order_total,
    sum(amount) filter (xref.source = 'shop_a') as sold_by_shop_a,
    sum(amount) filter (xref.source = 'shop_b') as sold_by_shop_b
from {{ ref('crm_companies') }}
inner join {{ ref('xref_companies') }} as xref using (company_id)
left join {{ ref('int_orders__unioned') }} as orders
    on orders.source = xref.source and orders.source_company_id = xref.source_id and status <> 'cancelled' and not is_deleted
where sources = 'shop_a, shop_b'
group by all
order by order_total desc
limit 100
