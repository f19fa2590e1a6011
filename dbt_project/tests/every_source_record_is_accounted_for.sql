-- Nothing is lost and nothing is counted twice: every staged company and contact is once published (`xref_*`) or
-- rejected, every staged order once a deal or kept out for a reason.
with staged as (
    select 'company' as entity, record_key from {{ ref('int_companies__unioned') }}
    union all
    select 'contact', record_key from {{ ref('int_contacts__unioned') }}
    union all
    select 'order', record_key from {{ ref('int_orders__unioned') }}
),

accounted as (
    select 'company' as entity, source || ':' || source_id as record_key from {{ ref('xref_companies') }}
    union all
    select 'company', source || ':' || source_id from {{ ref('rejected_companies') }}
    union all
    select 'contact', source || ':' || source_id from {{ ref('xref_contacts') }}
    union all
    select 'contact', source || ':' || source_id from {{ ref('rejected_contacts') }}
    union all
    select 'order', deal_id from {{ ref('crm_deals') }}
    union all
    select 'order', record_key from {{ ref('int_orders__outcomes') }} where reason is not null
),

counted as (
    select entity, record_key, 1 as staged, 0 as accounted from staged
    union all
    select entity, record_key, 0, 1 from accounted
),

unaccounted as (
    select entity, record_key, sum(staged) as staged, sum(accounted) as accounted
    from counted
    group by entity, record_key
    having sum(staged) <> 1 or sum(accounted) <> 1
)

select * from unaccounted
