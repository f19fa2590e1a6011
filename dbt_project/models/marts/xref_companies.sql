select source, source_company_id as source_id, company_id
from {{ ref('int_companies__outcomes') }}
where company_id is not null
