-- Nothing is lost and nothing is counted twice: every staged company is in xref_companies or in rejected_companies.
with staged as (
    select 'shop_a' as source, source_company_id as source_id from {{ ref('stg_shop_a__clients') }}
    union all
    select 'shop_b' as source, source_company_id as source_id from {{ ref('stg_shop_b__companies') }}
),

accounted as (
    select source, source_id from {{ ref('xref_companies') }}
    union all
    select source, source_id from {{ ref('rejected_companies') }}
)

select source, source_id, count(*) filter (place = 'staged') as staged, count(*) filter (place = 'accounted') as accounted
from (
    select *, 'staged' as place from staged
    union all
    select *, 'accounted' as place from accounted
)
group by source, source_id
having staged <> 1 or accounted <> 1
