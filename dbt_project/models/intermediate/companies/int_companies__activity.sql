-- When something about a source company last changed: its own row, a contact or an order. The period is judged for the
-- company as a whole: while one of its records is alive in the period, the older ones belong to it too.
with changes as (
    select source, source_company_id, changed_at from {{ ref('int_companies__validated') }}
    union all by name
    select 'shop_a' as source, source_company_id, changed_at from {{ ref('stg_shop_a__client_contacts') }}
    union all by name
    select 'shop_b' as source, source_company_id, changed_at from {{ ref('stg_shop_b__person_appearances') }}
    union all by name
    select 'shop_a' as source, source_company_id, changed_at from {{ ref('stg_shop_a__orders') }}
    union all by name
    select 'shop_b' as source, source_company_id, changed_at from {{ ref('stg_shop_b__orders') }}
),

latest as (
    select source, source_company_id, max(changed_at) as last_changed_at
    from changes
    group by all
),

by_inn as (
    select inn, max(last_changed_at) as last_changed_at
    from {{ ref('int_companies__validated') }}
    left join latest using (source, source_company_id)
    where is_inn_valid and not is_deleted
    group by inn
)

select
    companies.source, companies.source_company_id,
    companies.inn,
    -- a source that gives no time at all cannot prove that nothing changed
    coalesce(coalesce(by_inn.last_changed_at, latest.last_changed_at) >= {{ period_start() }}, true) as is_in_period,
    latest.last_changed_at
from {{ ref('int_companies__validated') }} as companies
left join latest using (source, source_company_id)
left join by_inn on by_inn.inn = companies.inn and not companies.is_deleted
