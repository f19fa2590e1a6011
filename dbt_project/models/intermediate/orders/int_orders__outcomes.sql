-- Where every source order went: a deal of a published company, or the first reason that keeps it out of the CRM.
with companies as (
    select source, source_company_id, company_id, reason as company_reason
    from {{ ref('int_companies__outcomes') }}
)

select
    orders.source, orders.source_order_id,
    company_id,
    source_contact_id,
    order_number, orders.status, amount, currency,
    case
        when is_deleted then 'deleted'
        when companies.source is null then 'orphan'
        when company_id is null then 'company_rejected'
        when not coalesce(changed_at >= {{ period_start() }}, true) then 'outside_period'
        when statuses.status is null then 'unknown_status'
        when not regexp_full_match(currency, '[A-Z]{3}') then 'unknown_currency'
    end as reason,
    company_reason,
    ordered_at, changed_at
from {{ ref('int_orders__unioned') }} as orders
left join companies using (source, source_company_id)
left join {{ ref('order_statuses') }} as statuses on statuses.status = orders.status
