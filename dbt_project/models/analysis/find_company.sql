-- Every company of a source: what was entered, which company it is, why it is not in the CRM or which card it has.
with outcomes as (
    select * from {{ ref('int_companies__outcomes') }}
),

cleaned as (
    select * from {{ ref('int_companies__cleaned') }}
),

clusters as ( -- of those that are not published as well
    select * from {{ ref('int_companies__clustered') }}
),

golden as (
    select * from {{ ref('crm_companies') }}
),

reasons as (
    select * from {{ ref('rejection_reasons') }} where entity = 'company'
),

cards as (
    select * from {{ ref('cards') }} where entity = 'company'
),

found as (
    select
        outcomes.source, outcomes.source_id, outcomes.record_key,
        coalesce(outcomes.company_id, clusters.company_id) as company_id,
        cleaned.inn, inn_raw,
        golden.title, company_name_raw,
        outcomes.reason, text_ru as reason_ru, text_en as reason_en,
        bitrix_id, url,
        cleaned.changed_at,
        lower(concat_ws(
            ' ', outcomes.record_key, clusters.company_id, cleaned.inn, inn_raw, company_name, company_name_raw, title,
            bitrix_id
        )) as search_text
    from outcomes
    inner join cleaned using (record_key)
    left join clusters using (record_key)
    left join golden on golden.company_id = outcomes.company_id
    left join reasons on reasons.reason = outcomes.reason
    left join cards on cards.origin_id = clusters.company_id
)

select * from found
