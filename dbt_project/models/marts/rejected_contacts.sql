select source, source_id, reason, company_reason
from {{ ref('int_records__outcomes') }}
where entity = 'contact' and reason is not null
