select
    source, source_company_id as source_id, reason,
    company_name_raw as company_name, inn_raw, inn,
    changed_at
from {{ ref('int_companies__outcomes') }}
inner join {{ ref('int_companies__validated') }} using (source, source_company_id)
where reason is not null
