-- How often each field is filled at each shop, and how often what is there is wrong. What is wrong, the flags of the
-- models say; a text is wrong where it had to be repaired.
with companies as (
    select * from {{ ref('int_companies__validated') }} where not is_deleted
),

entered_addresses as (
    select record_key, legal_address_raw from {{ ref('int_companies__cleaned') }}
),

contacts as (
    select source, record_key, contact_name_raw, is_deleted from {{ ref('int_contacts__unioned') }}
),

names as (
    select record_key, name_kind from {{ ref('int_contacts__validated') }}
),

repaired as (
    select text_raw from {{ ref('int_texts__repaired') }} where text is distinct from text_raw
),

communications as (
    select record_key, 'phone' as field, phone_raw as entered, number is null as is_wrong
    from {{ ref('int_contacts__phones') }}
    union all
    select record_key, 'email', email_raw, address is null
    from {{ ref('int_contacts__emails') }}
),

numbers as (
    select
        source,
        unnest([
            { 'field': 'inn', 'entered': inn_raw, 'is_wrong': not is_inn_valid },
            { 'field': 'kpp', 'entered': kpp_raw, 'is_wrong': not is_kpp_usable },
            { 'field': 'ogrn', 'entered': ogrn_raw, 'is_wrong': not is_ogrn_valid },
            { 'field': 'account', 'entered': account_raw, 'is_wrong': not is_account_valid }
        ], recursive := true)
    from companies
),

texts as (
    select source, 'company_name' as field, company_name_raw as entered from companies
    union all
    select source, 'legal_address', legal_address_raw
    from companies
    inner join entered_addresses using (record_key)
),

-- A row is a field of one record. A number without a digit ("-", "нет") is none.
entered_fields as (
    select 'company' as entity, source, field, entered, is_wrong, regexp_matches(entered, '[0-9]') as is_filled
    from numbers
    union all
    select 'company', source, field, entered, text_raw is not null, true
    from texts
    left join repaired on text_raw = entered
    where trim(entered) <> ''
    union all
    select 'contact', source, 'contact_name', contact_name_raw, name_kind = 'text', true
    from contacts
    inner join names using (record_key)
    where not is_deleted and trim(contact_name_raw) <> ''
    union all
    select 'contact', split_part(record_key, ':', 1), field, entered, is_wrong, true
    from communications
    anti join (from contacts where is_deleted) using (record_key)
),

fields as (
    select
        entity, source, field,
        count(*) filter (is_filled) as filled_count,
        count(*) filter (is_filled and is_wrong) as dirty_count,
        min(entered) filter (is_filled and is_wrong) as example
    from entered_fields
    group by all
),

records as (
    select 'company' as entity, source, count(*) as record_count from companies group by source
    union all
    select 'contact', source, count(*) from contacts where not is_deleted group by source
),

shares as (
    select
        source, field, record_count, filled_count, dirty_count,
        dirty_count / nullif(filled_count, 0) as dirty_share,
        example
    from fields
    inner join records using (entity, source)
)

select * from shares
