{{ config(severity='warn') }}
-- Objects of shop B's files that carry no `uid`: nothing can be told of them, and an analyst should ask the shop.
select source_position, run_id, ingested_at
from {{ source('shop_b', 'shop_b__companies') }}
anti join {{ ref('stg_shop_b__versions') }} using (source_position, run_id, ingested_at)
