select deal_id, company_id, contact_id, title, status, amount, currency, ordered_at, closed_at, ordered_on, closed_on
from {{ ref('int_orders__deals') }}
