-- Nothing is lost on the way from raw: every contact that was ever landed has its row in staging.
-- Asked after the marts, for what is tested before them waits: depends_on {{ ref('xref_contacts') }}
select 'shop_a' as source, payload ->> '$.id' as source_id
from {{ source('shop_a', 'shop_a__client_contacts') }}
where payload ->> '$.id' not in (select source_contact_id from {{ ref('stg_shop_a__client_contacts') }})
union all
select 'shop_b' as source, source_id
from (
    select unnest(json_extract_string(payload, '$.persons[*].uid')) as source_id from {{ source('shop_b', 'shop_b__companies') }}
    union all
    select unnest(json_extract_string(payload, '$.company.persons[*].uid')) from {{ source('shop_b', 'shop_b__events') }}
)
where source_id not in (select source_contact_id from {{ ref('stg_shop_b__persons') }})
