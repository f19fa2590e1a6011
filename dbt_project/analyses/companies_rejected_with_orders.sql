-- What keeps buying companies out of the CRM: rejected companies with live orders, the dearest first.
select reason, rejected.source, source_id, company_name, inn_raw, count(*) as orders, sum(amount) as amount
from {{ ref('rejected_companies') }} as rejected
inner join {{ ref('int_orders__unioned') }} as orders on orders.source = rejected.source and source_company_id = source_id
where not is_deleted and status <> 'cancelled'
group by all
order by amount desc
limit 100
