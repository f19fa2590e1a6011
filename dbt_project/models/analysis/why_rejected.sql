-- Every source record that is not in the CRM, with what it takes to find it at the shop and to call somebody about it.
with company_outcomes as (
    select * from {{ ref('int_companies__outcomes') }} where reason is not null
),

contact_outcomes as (
    select * from {{ ref('int_contacts__outcomes') }} where reason is not null
),

order_outcomes as (
    select * from {{ ref('int_orders__outcomes') }} where reason is not null
),

companies as (
    select * from {{ ref('int_companies__cleaned') }}
),

contacts as (
    select * from {{ ref('int_contacts__unioned') }}
),

people as (
    select record_key, phones, emails from {{ ref('int_contacts__validated') }}
),

appearances as (
    select record_key, company_key from {{ ref('int_company_contacts__appearances') }}
),

verdicts as (
    select inn, registry_status, asked_at from {{ ref('int_companies__verdicts') }}
),

people_of_companies as (
    select
        company_key as record_key,
        list_sort(list_distinct(flatten(list(phones)))) as phones,
        list_sort(list_distinct(flatten(list(emails)))) as emails
    from appearances
    semi join company_outcomes on company_outcomes.record_key = appearances.company_key
    inner join people on people.record_key = appearances.record_key
    group by company_key
),

rejected as (
    select
        'company' as entity, company_outcomes.source, source_id, record_key, company_name_raw as name, inn_raw,
        phones, emails, reason, null::varchar as company_reason, registry_status, asked_at as verdict_at, changed_at
    from company_outcomes
    inner join companies using (record_key)
    left join people_of_companies using (record_key)
    left join verdicts on verdicts.inn = companies.inn
    union all
    select
        'contact', contact_outcomes.source, source_id, record_key, contact_name_raw, null,
        phones, emails, reason, company_reason, null, null, changed_at
    from contact_outcomes
    inner join contacts using (record_key)
    inner join people using (record_key)
    union all
    select
        'order', source, source_id, record_key, order_number, null,
        null, null, reason, company_reason, null, null, changed_at
    from order_outcomes
),

reasons as (
    select * from {{ ref('rejection_reasons') }}
),

explained as (
    select
        rejected.entity, source, source_id, record_key,
        name, inn_raw, coalesce(phones, []) as phones, coalesce(emails, []) as emails,
        rejected.reason, company_reason,
        own.text_ru as reason_ru, own.text_en as reason_en,
        of_company.text_ru as company_reason_ru, of_company.text_en as company_reason_en,
        own.why,
        registry_status, verdict_at, changed_at
    from rejected
    left join reasons as own on own.entity = rejected.entity and own.reason = rejected.reason
    left join reasons as of_company on of_company.entity = 'company' and of_company.reason = company_reason
)

select * from explained
