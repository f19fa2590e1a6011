select golden_id as contact_id, state, merged_into
from {{ ref('int_records__departed') }}
where entity = 'contact'
