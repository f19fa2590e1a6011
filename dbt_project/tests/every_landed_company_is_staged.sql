-- Nothing is lost on the way from raw: every key that was ever landed has its row in staging.
-- Asked after the marts, for what is tested before them waits: depends_on {{ ref('xref_companies') }}
select 'shop_a' as source, source_key as source_id
from {{ source('shop_a', 'shop_a__clients') }}
where source_key not in (select source_company_id from {{ ref('stg_shop_a__clients') }})
union all
select 'shop_b' as source, company_uid as source_id
from {{ ref('stg_shop_b__versions') }}
where company_uid not in (select source_company_id from {{ ref('stg_shop_b__companies') }})
