-- When something about a source company last changed: its own row, a contact or an order. The period is judged for the
-- company as a whole: while one of its records is alive in the period, the older ones belong to it too.
with companies as (
    select * from {{ ref('int_companies__validated') }}
),

company_contacts as (
    select * from {{ ref('int_company_contacts__unioned') }}
),

orders as (
    select * from {{ ref('int_orders__unioned') }}
),

changes as (
    select record_key, changed_at from companies
    union all by name
    select company_key as record_key, changed_at from company_contacts
    union all by name
    select company_key as record_key, changed_at from orders
),

latest as (
    select record_key, max(changed_at) as last_changed_at
    from changes
    group by record_key
),

by_inn as (
    select inn, max(last_changed_at) as last_changed_at
    from companies
    left join latest using (record_key)
    where is_inn_valid and not is_deleted
    group by inn
),

activity as (
    select
        companies.record_key,
        companies.inn,
        -- a source that gives no time at all cannot prove that nothing changed
        coalesce(
            coalesce(by_inn.last_changed_at, latest.last_changed_at) >= {{ period_start() }}, true
        ) as is_in_period,
        latest.last_changed_at
    from companies
    left join latest using (record_key)
    left join by_inn on by_inn.inn = companies.inn and not companies.is_deleted
)

select * from activity
