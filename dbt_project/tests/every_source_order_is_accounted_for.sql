-- Every staged order is once in int_orders__outcomes, and is a deal exactly when nothing speaks against it.
with staged as (
    select 'shop_a:' || source_order_id as order_key from {{ ref('stg_shop_a__orders') }}
    union all
    select 'shop_b:' || source_order_id as order_key from {{ ref('stg_shop_b__orders') }}
)

select order_key, count(outcomes.source) as outcomes, count(deal_id) as deals, any_value(reason) as reason
from staged
full join {{ ref('int_orders__outcomes') }} as outcomes on source || ':' || source_order_id = order_key
full join {{ ref('crm_deals') }} as deals on deal_id = order_key
group by order_key
having outcomes <> 1 or deals <> (any_value(reason) is null)::int or order_key is null
