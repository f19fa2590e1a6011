-- One row per person and company that ever listed them: what the company's current document says, or, where that lists them no
-- more, what the last one did that had them.
with listed as (
    select
        * exclude (document),
        unnest(json_transform(document, '{"persons": [{
            "uid": "VARCHAR", "fio": "VARCHAR", "post": "VARCHAR", "phones": "VARCHAR", "emails": "VARCHAR", "changed_at": "VARCHAR"
        }]}').persons) as person
    from {{ ref('stg_shop_b__document_history') }}
),

appearances as materialized ( -- read more than once below
    select
        person.uid as source_contact_id, company_uid as source_company_id,
        person.fio as contact_name_raw, person.post as post_raw, person.phones as phones_raw, person.emails as emails_raw,
        is_gone as is_deleted,
        coalesce({{ utc_from_iso('person.changed_at') }}, changed_at) as changed_at,
        changed_at as document_changed_at, version_number, source_position, run_id, ingested_at
    from listed
    where person.uid is not null
),

newest as (
    {{ newest_per_key(
        'appearances', 'source_company_id, source_contact_id',
        'version_number, changed_at desc nulls last, phones_raw, emails_raw, contact_name_raw, post_raw'
    ) }}
)

select * exclude (version_number) from newest
