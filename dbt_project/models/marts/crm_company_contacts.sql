select company_id, contact_id, is_primary
from {{ ref('int_company_contacts__linked') }}
