{{ config(materialized='view') }}
-- Where every source record went, companies and contacts alike: into a golden record (`golden_id`), or the reason that
-- keeps it out.
select 'company' as entity, source, record_key, source_id, company_id as golden_id, reason, null as company_reason
from {{ ref('int_companies__outcomes') }}
union all by name
select 'contact' as entity, source, record_key, source_id, contact_id as golden_id, reason, company_reason
from {{ ref('int_contacts__outcomes') }}
