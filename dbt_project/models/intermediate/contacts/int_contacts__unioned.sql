{{ config(materialized='view') }}
-- Contacts of both shops in one shape, one row per source and source_contact_id.
select
    'shop_a' as source, source_contact_id, source_company_id,
    contact_name, post, phones, emails,
    is_deleted, changed_at,
    source_position, run_id, ingested_at
from {{ ref('stg_shop_a__client_contacts') }}
union all by name
select
    'shop_b' as source, source_contact_id, source_company_id,
    contact_name, post, phones, emails,
    is_deleted, changed_at,
    source_position, run_id, ingested_at
from {{ ref('stg_shop_b__persons') }}
