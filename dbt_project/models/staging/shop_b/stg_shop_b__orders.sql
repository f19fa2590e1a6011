{{ config(materialized='view') }}
-- One row per order of shop B that any version of a company has shown: of several companies that show one order, the
-- one whose newest version does. A view: hardly any order is shown twice, and need not be kept twice.
with appearances as (
    select * from {{ ref('stg_shop_b__order_appearances') }}
),

overruled as (
    select source_order_id, source_company_id from {{ ref('stg_shop_b__overruled_orders') }}
),

believed as (
    select * exclude (version_number, document_changed_at) from appearances
    anti join overruled using (source_order_id, source_company_id)
)

select * from believed
