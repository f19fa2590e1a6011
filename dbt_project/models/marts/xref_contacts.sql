select source, source_contact_id as source_id, contact_id
from {{ ref('int_contacts__outcomes') }}
where contact_id is not null
