select golden_id as company_id, state, merged_into
from {{ ref('int_records__departed') }}
where entity = 'company'
