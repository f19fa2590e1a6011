-- Which record gave each value of a golden record: `registry`, or the source record that won.
with companies as (
    select * from {{ ref('int_companies__deduplicated') }}
),

contacts as (
    select * from {{ ref('int_contacts__deduplicated') }}
),

outcomes as (
    select record_key, contact_id from {{ ref('int_contacts__outcomes') }} where contact_id is not null
),

communications as (
    select * from {{ ref('int_contacts__communications') }}
),

origins as (
    select
        'company' as entity, company_id as golden_id,
        unnest([
            { 'field': 'inn', 'value': inn, 'won_from': null },
            { 'field': 'title', 'value': title, 'won_from': title_from },
            { 'field': 'full_name', 'value': full_name, 'won_from': 'registry' },
            { 'field': 'opf', 'value': legal_form, 'won_from': legal_form_from },
            { 'field': 'kpp', 'value': kpp, 'won_from': kpp_from },
            { 'field': 'ogrn', 'value': ogrn, 'won_from': ogrn_from },
            { 'field': 'director_name', 'value': director_name, 'won_from': 'registry' },
            { 'field': 'legal_address', 'value': legal_address, 'won_from': legal_address_from },
            { 'field': 'bank_name', 'value': bank_name, 'won_from': bank_from },
            { 'field': 'bik', 'value': bik, 'won_from': bank_from },
            { 'field': 'account', 'value': account, 'won_from': bank_from },
            { 'field': 'corr_account', 'value': corr_account, 'won_from': bank_from }
        ], recursive := true)
    from companies
    union all
    select
        'contact', contact_id,
        unnest([
            {
                'field': 'name', 'value': concat_ws(' ', last_name, first_name, second_name), 'won_from': name_from
            },
            { 'field': 'post', 'value': post, 'won_from': post_from }
        ], recursive := true)
    from contacts
    union all -- all that its records give
    select 'contact', contact_id, kind, value, record_key
    from outcomes
    inner join communications using (record_key)
),

given as (
    select entity, golden_id, field, value, won_from from origins where value <> ''
)

select * from given
