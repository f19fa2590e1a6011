select status, string_split(deal_stages, ' ') as stages
from {{ ref('order_statuses') }}
