{{ config(materialized='view') }}
-- Who is listed under which company now, as the sources say it: one row per source, contact and source company.
select 'shop_a' as source, source_contact_id, source_company_id, changed_at
from {{ ref('stg_shop_a__client_contacts') }}
where not is_deleted
union all by name
select 'shop_b' as source, source_contact_id, source_company_id, changed_at
from {{ ref('stg_shop_b__person_appearances') }}
where not is_deleted
