select
    outcomes.source || ':' || source_order_id as deal_id,
    outcomes.company_id,
    contact_id,
    'Заказ ' || coalesce(order_number, source_order_id) as title,
    status,
    amount, currency,
    ordered_at,
    case when is_won or is_lost then outcomes.changed_at end as closed_at,
    {{ moscow_day('ordered_at') }} as ordered_on,
    {{ moscow_day('closed_at') }} as closed_on
from {{ ref('int_orders__outcomes') }} as outcomes
inner join {{ ref('order_statuses') }} using (status)
left join {{ ref('int_contacts__outcomes') }} as contacts using (source, source_contact_id)
where outcomes.reason is null
