-- A contact is published only with a published company, and one of its companies is the primary one.
select contact_id, count(company_id) as company_count, count(*) filter (is_primary) as primary_count
from {{ ref('crm_contacts') }}
left join {{ ref('crm_company_contacts') }} using (contact_id)
group by contact_id
having company_count = 0 or primary_count <> 1
