select source, source_id, reason, company_name_raw as company_name, inn_raw, inn, changed_at
from {{ ref('int_records__outcomes') }}
inner join {{ ref('int_companies__validated') }} using (source, record_key)
where entity = 'company' and reason is not null
