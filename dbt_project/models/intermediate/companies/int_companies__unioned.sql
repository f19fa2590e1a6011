{{ config(materialized='view') }}
-- All source companies in one shape, one row per source and source_company_id.
select 'shop_a' as source, * from {{ ref('stg_shop_a__clients') }}
union all by name
select 'shop_b' as source, * from {{ ref('stg_shop_b__companies') }}
