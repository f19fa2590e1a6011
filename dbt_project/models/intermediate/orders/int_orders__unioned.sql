{{ config(materialized='view') }}
-- Orders of both shops in one shape, one row per source and source_order_id.
select 'shop_a' as source, * from {{ ref('stg_shop_a__orders') }}
union all by name
select 'shop_b' as source, * from {{ ref('stg_shop_b__orders') }}
