select source, source_contact_id as source_id, reason, company_reason
from {{ ref('int_contacts__outcomes') }}
where reason is not null
