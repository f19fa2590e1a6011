{{ config(materialized='view') }}
-- The newest document of each company and, behind it, those that it replaced: where persons and orders are found that are gone from it.
with replaced as (
    select * from {{ ref('stg_shop_b__versions') }} where content_number > 1
)

select company_uid, document, 1 as version_number, is_deleted as is_gone, changed_at, source_position, run_id, ingested_at
from {{ ref('stg_shop_b__documents') }}
union all
select company_uid, payload as document, version_number, true as is_gone, changed_at, source_position, run_id, ingested_at
from {{ source('shop_b', 'shop_b__companies') }}
inner join (from replaced where not is_event) using (source_position, run_id, ingested_at)
union all
select company_uid, payload -> '$.company' as document, version_number, true as is_gone, changed_at, source_position, run_id, ingested_at
from {{ source('shop_b', 'shop_b__events') }}
inner join (from replaced where is_event) using (source_position, run_id, ingested_at)
