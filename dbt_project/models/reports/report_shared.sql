-- Which shops know the companies and people of the CRM: one row per kind and set of shops.
with known_to as (
    select 'company' as entity, sources, order_count, order_total from {{ ref('crm_companies') }}
    union all
    select 'contact', sources, null, null from {{ ref('crm_contacts') }}
),

shared as (
    select
        entity, sources,
        count(*) as total_count,
        sum(order_count)::bigint as order_count,
        sum(order_total) as order_total
    from known_to
    group by all
)

select * from shared
