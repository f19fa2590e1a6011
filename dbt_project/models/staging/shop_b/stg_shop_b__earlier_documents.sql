{{ config(materialized='view') }}
-- Versions that a newer one replaced: where persons and orders are found that are gone from the current document.
with replaced as (
    select * from {{ ref('stg_shop_b__versions') }} where content_number > 1
)

select company_uid, payload as document, changed_at, version_number, source_position, run_id, ingested_at
from {{ source('shop_b', 'shop_b__companies') }}
inner join (from replaced where not is_event) using (source_position, run_id, ingested_at)
union all
select company_uid, payload -> '$.company' as document, changed_at, version_number, source_position, run_id, ingested_at
from {{ source('shop_b', 'shop_b__events') }}
inner join (from replaced where is_event) using (source_position, run_id, ingested_at)
