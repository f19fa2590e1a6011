-- What became of each value that was entered: as entered, cleaned, and what is left of it after the rules.
with companies as (
    select * from {{ ref('int_companies__cleaned') }}
),

validated_companies as (
    select * from {{ ref('int_companies__validated') }}
),

contacts as (
    select * from {{ ref('int_contacts__unioned') }}
),

validated_contacts as (
    select * from {{ ref('int_contacts__validated') }}
),

phones as (
    select * from {{ ref('int_contacts__phones') }}
),

emails as (
    select * from {{ ref('int_contacts__emails') }}
),

repaired as (
    select * from {{ ref('int_texts__repaired') }}
),

orders as (
    select * from {{ ref('int_orders__cleaned') }}
),

steps as (
    select
        'company' as entity, record_key,
        unnest([
            {
                'field': 'company_name', 'entered': companies.company_name_raw, 'cleaned': companies.company_name,
                'kept': companies.company_name
            },
            { 'field': 'inn', 'entered': companies.inn_raw, 'cleaned': companies.inn, 'kept': valid.inn },
            { 'field': 'kpp', 'entered': companies.kpp_raw, 'cleaned': companies.kpp, 'kept': valid.kpp },
            { 'field': 'ogrn', 'entered': companies.ogrn_raw, 'cleaned': companies.ogrn, 'kept': valid.ogrn },
            {
                'field': 'legal_address', 'entered': legal_address_raw, 'cleaned': companies.legal_address,
                'kept': valid.legal_address
            },
            {
                'field': 'bank_name', 'entered': bank_name_raw, 'cleaned': companies.bank_name, 'kept': valid.bank_name
            },
            { 'field': 'bik', 'entered': companies.bik_raw, 'cleaned': companies.bik, 'kept': valid.bik },
            {
                'field': 'account', 'entered': companies.account_raw, 'cleaned': companies.account,
                'kept': valid.account
            },
            {
                'field': 'corr_account', 'entered': companies.corr_account_raw, 'cleaned': companies.corr_account,
                'kept': valid.corr_account
            }
        ], recursive := true)
    from companies
    inner join validated_companies as valid using (record_key)
    union all
    select
        'contact', record_key, 'contact_name', contact_name_raw, coalesce(repaired.text, contact_name_raw),
        nullif(concat_ws(' | ', last_name, first_name, second_name), '')
    from contacts
    inner join validated_contacts using (record_key)
    left join repaired on repaired.text_raw = contact_name_raw
    union all
    select 'contact', record_key, 'post', post_raw, coalesce(repaired.text, post_raw), post
    from contacts
    inner join validated_contacts using (record_key)
    left join repaired on repaired.text_raw = post_raw
    union all
    select 'contact', record_key, 'phone', phone_raw, number || coalesce(' доб. ' || extension, ''), number
    from phones
    union all
    select 'contact', record_key, 'email', email_raw, address as cleaned, address as kept
    from emails
    union all
    select
        'order', record_key,
        unnest([
            { 'field': 'order_number', 'entered': order_number_raw, 'cleaned': order_number, 'kept': order_number },
            { 'field': 'order_status', 'entered': status_raw, 'cleaned': status, 'kept': status },
            { 'field': 'order_amount', 'entered': amount_raw, 'cleaned': amount::varchar, 'kept': amount::varchar },
            { 'field': 'order_currency', 'entered': currency_raw, 'cleaned': currency, 'kept': currency }
        ], recursive := true)
    from orders
),

given as (
    select entity, record_key, field, entered, cleaned, kept from steps where coalesce(entered, cleaned) is not null
)

select * from given
