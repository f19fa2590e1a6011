{{ config(materialized='view') }}
-- Contacts of all shops, cleaned: name and post repaired, phones and e-mails read, all of it as entered beside.
with contacts as (
    select * from {{ ref('int_contacts__unioned') }}
),

repaired as (
    select * from {{ ref('int_texts__repaired') }}
),

phones as ( -- most have one: quicker than to gather them all
    select
        record_key,
        case when count(*) = 1 then [any_value(number)] else list_sort(list_distinct(list(number))) end as phones
    from {{ ref('int_contacts__phones') }}
    where number is not null
    group by record_key
),

emails as (
    select
        record_key,
        case when count(*) = 1 then [any_value(address)] else list_sort(list_distinct(list(address))) end as emails
    from {{ ref('int_contacts__emails') }}
    where address is not null
    group by record_key
),

cleaned as (
    select
        source, record_key, source_contact_id,
        company_key,
        {{ text_or_repaired('contact_name_raw', 'names') }} as contact_name, contact_name_raw,
        {{ text_or_repaired('post_raw', 'posts') }} as post, post_raw,
        coalesce(phones, []) as phones, phones_raw,
        coalesce(emails, []) as emails, emails_raw,
        is_deleted, changed_at,
        source_position, run_id, ingested_at
    from contacts
    left join repaired as names on names.text_raw = contact_name_raw
    left join repaired as posts on posts.text_raw = post_raw
    left join phones using (record_key)
    left join emails using (record_key)
)

select * from cleaned
