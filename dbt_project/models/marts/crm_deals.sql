select
    outcomes.source || ':' || source_order_id as deal_id,
    outcomes.company_id,
    contact_id,
    'Заказ ' || coalesce(order_number, source_order_id) as title,
    status,
    amount, currency,
    ordered_at,
    case when status in ('done', 'cancelled') then outcomes.changed_at end as closed_at
from {{ ref('int_orders__outcomes') }} as outcomes
left join {{ ref('int_contacts__outcomes') }} as contacts using (source, source_contact_id)
where outcomes.reason is null
