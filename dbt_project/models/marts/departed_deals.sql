select record_key as deal_id, crm_state as state, null::varchar as merged_into
from {{ ref('int_orders__outcomes') }} as orders
inner join {{ ref('rejection_reasons') }} as reasons on entity = 'order' and reasons.reason = orders.reason
where crm_state <> 'unchanged'
