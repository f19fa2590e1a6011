-- Every contact of a source: what was entered, which person it is, why it is not in the CRM or which card it has.
with outcomes as (
    select * from {{ ref('int_contacts__outcomes') }}
),

entered as (
    select * from {{ ref('int_contacts__unioned') }}
),

validated as (
    select * from {{ ref('int_contacts__validated') }}
),

members as ( -- of those that are not published any more as well
    select record_key, arg_max(contact_id, minted_at) as contact_id
    from (
        select contact_id, minted_at, unnest(members) as record_key
        from {{ ref('int_contacts__identities') }}
        where merged_into is null
    )
    group by record_key
),

companies as (
    select record_key as company_key, company_name_raw from {{ ref('int_companies__cleaned') }}
),

reasons as (
    select * from {{ ref('rejection_reasons') }} where entity = 'contact'
),

cards as (
    select * from {{ ref('cards') }} where entity = 'contact'
),

found as (
    select
        outcomes.source, outcomes.source_id, outcomes.record_key,
        coalesce(outcomes.contact_id, members.contact_id) as contact_id,
        concat_ws(' ', last_name, first_name, second_name) as contact_name, contact_name_raw,
        phones, array_to_string(phones_raw, '; ') as phones_raw,
        emails, array_to_string(emails_raw, '; ') as emails_raw,
        entered.company_key, company_name_raw,
        outcomes.reason, outcomes.company_reason, text_ru as reason_ru, text_en as reason_en,
        bitrix_id, url,
        entered.changed_at,
        lower(concat_ws(
            ' ', outcomes.record_key, members.contact_id, contact_name_raw, last_name, first_name, second_name,
            array_to_string(phones, ' '), array_to_string(phones_raw, ' '),
            array_to_string(emails, ' '), array_to_string(emails_raw, ' '), company_name_raw, bitrix_id
        )) as search_text
    from outcomes
    inner join entered using (record_key)
    inner join validated using (record_key)
    left join members using (record_key)
    left join companies on companies.company_key = entered.company_key
    left join reasons on reasons.reason = outcomes.reason
    left join cards on cards.origin_id = coalesce(outcomes.contact_id, members.contact_id)
)

select * from found
