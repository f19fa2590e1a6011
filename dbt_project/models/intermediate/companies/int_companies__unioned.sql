{{ config(materialized='view') }}
-- Companies of all shops in one shape, as entered, one row per record_key.
select * from {{ ref('stg_shop_a__clients') }}
union all by name
select * from {{ ref('stg_shop_b__companies') }}
