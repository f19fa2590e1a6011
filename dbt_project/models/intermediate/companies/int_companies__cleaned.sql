{{ config(materialized='view') }}
-- Companies of all shops, cleaned: text repaired, numbers without labels, spaces and separators, all of it as entered
-- beside. Whether a number is right is judged in int_companies__validated.
with companies as (
    select * from {{ ref('int_companies__unioned') }}
),

repaired as (
    select * from {{ ref('int_texts__repaired') }}
),

texts as (
    select
        companies.*,
        {{ text_or_repaired('company_name_raw', 'names') }} as company_name,
        {{ text_or_repaired('legal_address_raw', 'addresses') }} as legal_address,
        {{ text_or_repaired('bank_name_raw', 'banks') }} as bank_name
    from companies
    left join repaired as names on names.text_raw = company_name_raw
    left join repaired as addresses on addresses.text_raw = legal_address_raw
    left join repaired as banks on banks.text_raw = bank_name_raw
),

inns_entered as (
    select *, {{ inn_without_labels('inn_raw') }} as inn_entered from texts
),

inns_read as (
    select *, nullif({{ inn_digits('inn_entered') }}, '') as inn_digits from inns_entered
),

inns_padded as (
    select *, {{ inn_padded('inn_digits') }} as inn from inns_read
),

kpps_read as ( -- from its own field, else from behind the INN, as in "INN/KPP"
    select
        *,
        coalesce(
            nullif({{ kpp_without_labels('kpp_raw') }}, ''),
            nullif(regexp_extract(inn_entered, '[^0-9A-Z]([0-9]{4}[0-9A-Z]{2}[0-9]{3})$', 1), '')
        ) as kpp
    from inns_padded
),

numbers_read as (
    select
        *,
        nullif({{ digits_only('ogrn_raw') }}, '') as ogrn,
        nullif({{ bik_padded(digits_only('bik_raw')) }}, '') as bik,
        nullif({{ digits_only('account_raw') }}, '') as account,
        nullif({{ digits_only('corr_account_raw') }}, '') as corr_account
    from kpps_read
),

cleaned as (
    select
        source, record_key, source_company_id,
        company_name, company_name_raw,
        inn, inn_raw,
        kpp, kpp_raw,
        ogrn, ogrn_raw,
        legal_address, legal_address_raw,
        bank_name, bank_name_raw, bik, bik_raw, account, account_raw, corr_account, corr_account_raw,
        coalesce(inn <> inn_digits, false) as is_inn_padded,
        is_deleted,
        created_at, changed_at,
        source_position, run_id, ingested_at
    from numbers_read
)

select * from cleaned
