select source, source_id, golden_id as company_id
from {{ ref('int_records__outcomes') }}
where entity = 'company' and golden_id is not null
