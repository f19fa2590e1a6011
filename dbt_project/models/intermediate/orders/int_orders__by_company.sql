-- What a company ordered in the current and the previous year (from SVOD_SINCE on), cancelled orders left out.
select
    company_id,
    count(*) as order_count,
    coalesce(sum(amount) filter (currency = 'RUB'), 0)::decimal(18, 2) as order_total, -- sums of other currencies do not add up
    max(ordered_at) as last_order_at
from {{ ref('int_orders__unioned') }}
inner join {{ ref('int_companies__outcomes') }} using (source, source_company_id)
inner join {{ ref('order_statuses') }} using (status)
where company_id is not null
    and not is_deleted
    and counts_for_totals
    and ordered_at >= {{ period_start() }}
group by company_id
