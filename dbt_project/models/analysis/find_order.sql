-- Every order of a source: whose it is, why it is no deal of the CRM or which card it has.
with outcomes as (
    select * from {{ ref('int_orders__outcomes') }}
),

entered as (
    select record_key, order_number_raw, status_raw, amount_raw from {{ ref('int_orders__unioned') }}
),

companies as (
    select record_key as company_key, company_name_raw from {{ ref('int_companies__cleaned') }}
),

reasons as (
    select * from {{ ref('rejection_reasons') }} where entity = 'order'
),

cards as (
    select * from {{ ref('cards') }} where entity = 'deal'
),

found as (
    select
        source, source_id, record_key,
        order_number, order_number_raw,
        company_key, company_id, company_name_raw, contact_key,
        status, amount, currency,
        outcomes.reason, company_reason, text_ru as reason_ru, text_en as reason_en,
        bitrix_id, url,
        ordered_at, changed_at
    from outcomes
    inner join entered using (record_key)
    left join companies using (company_key)
    left join reasons on reasons.reason = outcomes.reason
    left join cards on cards.origin_id = record_key
)

select * from found
