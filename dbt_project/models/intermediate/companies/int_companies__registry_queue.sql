-- Every INN that the registry must answer for, once.
select distinct inn
from {{ ref('int_companies__validated') }}
inner join {{ ref('int_companies__activity') }} using (source, source_company_id, inn)
where is_inn_valid and not is_deleted and is_in_period
