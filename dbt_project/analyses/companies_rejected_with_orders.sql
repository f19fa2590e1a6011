-- What keeps buying companies out of the CRM: rejected companies with live orders, the dearest first.
with rejected as (
    select *, source || ':' || source_id as record_key from {{ ref('rejected_companies') }}
),

orders as (
    select * from {{ ref('int_orders__cleaned') }} where not is_deleted
),

statuses as (
    select status from {{ ref('order_statuses') }} where counts_for_totals
),

dearest as (
    select reason, record_key, company_name, inn_raw, count(*) as orders, sum(amount) as amount
    from rejected
    inner join orders on company_key = rejected.record_key
    inner join statuses using (status)
    group by all
    order by amount desc
    limit 100
)

select * from dearest
