select
    orders.record_key as deal_id,
    orders.company_id,
    contact_id,
    'Заказ ' || coalesce(order_number, orders.source_id) as title,
    status,
    amount, currency,
    ordered_at,
    case when is_won or is_lost then orders.changed_at end as closed_at,
    {{ moscow_day('ordered_at') }} as ordered_on,
    {{ moscow_day('closed_at') }} as closed_on
from {{ ref('int_orders__outcomes') }} as orders
inner join {{ ref('order_statuses') }} using (status)
left join {{ ref('int_contacts__outcomes') }} as contacts on contacts.record_key = contact_key
where orders.reason is null
