select source, source_id, golden_id as contact_id
from {{ ref('int_records__outcomes') }}
where entity = 'contact' and golden_id is not null
