-- The company each source record with a valid INN belongs to.
select
    companies.source, companies.source_company_id,
    company_id,
    companies.inn
from {{ ref('int_companies__validated') }} as companies
inner join {{ ref('int_companies__identities') }} as identities on identities.inn = companies.inn
where is_inn_valid
