-- Companies that ordered since the period began and are not in the CRM, one row per company (records of one valid INN
-- are one), with the first reason, and whom to call: of those that are repairable, the list worth a call.
with rejected as (
    select * from {{ ref('int_companies__outcomes') }} where reason is not null
),

companies as (
    select
        rejected.source, record_key, coalesce(inn, record_key) as company_key, inn, inn_raw,
        coalesce(company_name, company_name_raw) as name, reason
    from rejected
    inner join {{ ref('int_companies__validated') }} using (record_key)
),

outside as ( -- a record that its shop deleted may be in the CRM by another
    select companies.* from companies
    anti join (select inn from {{ ref('crm_companies') }}) using (inn)
),

orders as (
    select company_key as record_key, amount, currency, ordered_at from {{ ref('int_orders__counted') }}
),

bought as (
    select
        record_key,
        count(*) as order_count,
        coalesce(sum(amount) filter (currency = 'RUB'), 0) as order_total,
        max(ordered_at) as last_order_at
    from orders
    semi join outside using (record_key)
    group by record_key
),

people as (
    select
        record_key as person_key, concat_ws(' ', last_name, first_name, second_name) as person_name, phones, emails,
        changed_at
    from {{ ref('int_contacts__validated') }}
    where not is_deleted and (has_phone or has_email)
),

appearances as (
    select company_key as record_key, record_key as person_key from {{ ref('int_company_contacts__appearances') }}
),

to_call as (
    select
        record_key,
        arg_max(struct_pack(person_name, phones, emails), (has_phone, coalesce(changed_at, '-infinity'), person_key))
            as person
    from (select *, len(phones) > 0 as has_phone from people) as reachable
    inner join appearances using (person_key)
    semi join bought using (record_key)
    group by record_key
),

verdicts as (
    select inn, registry_status, asked_at from {{ ref('int_companies__verdicts') }}
),

reasons as (
    select * from {{ ref('rejection_reasons') }} where entity = 'company'
),

buyers as (
    select
        company_key,
        max(inn) as inn,
        first(name order by last_order_at desc nulls last, record_key) as company_name,
        first(inn_raw order by last_order_at desc nulls last, record_key) as inn_raw,
        string_agg(distinct source, ', ' order by source) as sources,
        list(record_key order by record_key) as record_keys,
        first(reason order by precedence) as reason,
        sum(order_count)::bigint as order_count,
        sum(order_total)::decimal(18, 2) as order_total,
        max(last_order_at) as last_order_at,
        first(person order by last_order_at desc nulls last, record_key) filter (person is not null) as person
    from outside
    inner join bought using (record_key)
    inner join reasons using (reason)
    left join to_call using (record_key)
    group by company_key
),

explained as (
    select
        company_key, buyers.inn, inn_raw, company_name, sources, record_keys,
        buyers.reason, text_ru as reason_ru, text_en as reason_en,
        is_repairable,
        registry_status, asked_at as verdict_at,
        order_count, order_total,
        last_order_at, {{ moscow_day('last_order_at') }} as last_order_on,
        person.person_name,
        coalesce(person.phones, []) as phones,
        coalesce(person.emails, []) as emails
    from buyers
    inner join reasons using (reason)
    left join verdicts on verdicts.inn = buyers.inn
)

select * from explained
