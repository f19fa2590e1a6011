{{ config(materialized='view') }}
-- Who is or was listed under which company, as the sources say it, one row per record_key (of the contact) and
-- company_key.
select source, record_key, company_key, is_deleted, changed_at
from {{ ref('stg_shop_a__client_contacts') }}
union all by name
select source, record_key, company_key, is_deleted, changed_at
from {{ ref('stg_shop_b__person_appearances') }}
