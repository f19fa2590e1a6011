-- One row per person and company that ever listed them: what the company's current document says, or, where that lists
-- them no more, what the last one did that had them.
with documents as (
    select * from {{ ref('stg_shop_b__document_history') }}
),

listed as (
    select
        * exclude (document),
        unnest({{ json_objects('document', 'persons', '{
            "uid": "VARCHAR", "fio": "VARCHAR", "post": "VARCHAR", "phones": "VARCHAR", "emails": "VARCHAR",
            "changed_at": "VARCHAR"
        }') }}) as person
    from documents
),

extracted as (
    select
        'shop_b' as source,
        'shop_b:' || person.uid as record_key,
        person.uid as source_contact_id,
        'shop_b:' || company_uid as company_key,
        company_uid as source_company_id,
        person.fio as contact_name_raw,
        person.post as post_raw,
        person.phones as phones_raw,
        person.emails as emails_raw,
        is_gone as is_deleted,
        coalesce({{ utc_from_iso('person.changed_at') }}, document_changed_at) as changed_at,
        document_changed_at, version_number,
        source_position, run_id, ingested_at
    from listed
    where person.uid is not null
),

latest as (
    select * exclude (version_number) from extracted
    qualify row_number() over (
        partition by source_company_id, source_contact_id
        order by version_number, changed_at desc nulls last, phones_raw, emails_raw, contact_name_raw, post_raw
    ) = 1
)

select * from latest
