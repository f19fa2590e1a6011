-- Where every source order went: a deal of a published company, or the first reason that keeps it out of the CRM.
with orders as (
    select * from {{ ref('int_orders__cleaned') }}
),

companies as (
    select * from {{ ref('int_companies__outcomes') }}
),

statuses as (
    select * from {{ ref('order_statuses') }}
),

reasons as (
    select list(reason order by precedence) as precedence
    from {{ ref('rejection_reasons') }}
    where entity = 'order'
),

placed as (
    select
        orders.*,
        companies.record_key is not null as has_company,
        companies.company_id,
        companies.reason as company_reason,
        statuses.status is not null as is_status_known
    from orders
    left join companies on companies.record_key = company_key
    left join statuses on statuses.status = orders.status
),

judged as (
    select
        *,
        [
            case when is_deleted then 'deleted' end,
            case when not has_company then 'orphan' end,
            case when company_id is null then 'company_rejected' end,
            case when not coalesce(changed_at >= {{ period_start() }}, true) then 'outside_period' end,
            case when not is_status_known then 'unknown_status' end,
            case when not regexp_full_match(currency, '[A-Z]{3}') then 'unknown_currency' end
        ] as grounds
    from placed
),

outcomes as (
    select
        source, record_key,
        source_order_id as source_id,
        company_id, company_key, contact_key,
        order_number, status, amount, currency,
        {{ first_reason('grounds', 'precedence') }} as reason,
        company_reason,
        is_deleted,
        ordered_at, changed_at
    from judged
    cross join reasons
)

select * from outcomes
