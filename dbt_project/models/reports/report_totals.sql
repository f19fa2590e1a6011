-- What the CRM may sell to now: companies, people and deals, how many there were a month ago (before that is known, at
-- the first full pass), and how many cards the portal has.
with sizes as (
    select mart, row_count, measured_at from {{ source('ops', 'mart_sizes') }}
),

totals as (
    select 1 as place, 'company' as entity, 'crm_companies' as mart, count(*) as total_count
    from {{ ref('crm_companies') }}
    union all
    select 2, 'contact', 'crm_contacts', count(*) from {{ ref('crm_contacts') }}
    union all
    select 3, 'deal', 'crm_deals', count(*) from {{ ref('crm_deals') }}
),

earlier as (
    select
        mart,
        coalesce(
            max(measured_at) filter (measured_at <= {{ utc_now() }} - interval 1 month), min(measured_at)
        ) as measured_at
    from sizes
    group by mart
),

cards as (
    select entity, count(*) as card_count from {{ ref('cards') }} where not is_deleted group by entity
),

compared as (
    select
        place, entity, total_count,
        row_count as earlier_count,
        earlier.measured_at as earlier_at,
        coalesce(card_count, 0) as card_count
    from totals
    left join earlier using (mart)
    left join sizes using (mart, measured_at)
    left join cards using (entity)
)

select * from compared
