{{ config(materialized='view') }}
-- Every id ever given out, of companies and contacts: its records, and the id it was merged into.
select 'company' as entity, company_id as golden_id, members, merged_into
from {{ ref('int_companies__identities') }}
union all by name
select 'contact' as entity, contact_id as golden_id, members, merged_into
from {{ ref('int_contacts__identities') }}
