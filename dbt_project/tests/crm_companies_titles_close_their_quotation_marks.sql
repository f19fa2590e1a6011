-- A title with a quotation mark that never closes is half a name.
select company_id, title
from {{ ref('crm_companies') }}
where not {{ marks_are_balanced('title') }}
