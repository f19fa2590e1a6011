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

-- From here a row is a field of a shop: values that were entered ("-" or "нет" is no number), wrong ones, one of these.
numbers_of_companies as (
    {% for field, is_right in [
        ('inn', 'is_inn_valid'), ('kpp', 'is_kpp_usable'), ('ogrn', 'is_ogrn_valid'), ('account', 'is_account_valid')
    ] -%}
    select
        source, '{{ field }}' as field,
        count(*) filter (regexp_matches({{ field }}_raw, '[0-9]')) as filled_count,
        count(*) filter (regexp_matches({{ field }}_raw, '[0-9]') and not {{ is_right }}) as dirty_count,
        min({{ field }}_raw) filter (regexp_matches({{ field }}_raw, '[0-9]') and not {{ is_right }}) as example
    from companies
    group by source
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

texts_of_companies as (
    select source, 'company_name' as field, company_name_raw as entered from companies
    union all
    select source, 'legal_address', legal_address_raw
    from companies
    inner join entered_addresses using (record_key)
),

texts as (
    select
        source, field,
        count(*) as filled_count,
        count(text_raw) as dirty_count,
        min(text_raw) as example
    from texts_of_companies
    left join repaired on text_raw = entered
    where trim(entered) <> ''
    group by all
),

names_of_people as (
    select
        source, 'contact_name' as field,
        count(*) as filled_count,
        count(*) filter (name_kind = 'text') as dirty_count,
        min(contact_name_raw) filter (name_kind = 'text') as example
    from contacts
    inner join names using (record_key)
    where not is_deleted and trim(contact_name_raw) <> ''
    group by source
),

communications as (
    select record_key, 'phone' as field, phone_raw as entered, number is null as is_wrong
    from {{ ref('int_contacts__phones') }}
    union all
    select record_key, 'email', email_raw, address is null
    from {{ ref('int_contacts__emails') }}
),

ways_to_people as (
    select
        split_part(record_key, ':', 1) as source, field,
        count(*) as filled_count,
        count(*) filter (is_wrong) as dirty_count,
        min(entered) filter (is_wrong) as example
    from communications
    anti join (from contacts where is_deleted) using (record_key)
    group by all
),

fields as (
    select 'company' as entity, * from numbers_of_companies
    union all
    select 'company', * from texts
    union all
    select 'contact', * from names_of_people
    union all
    select 'contact', * from ways_to_people
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
