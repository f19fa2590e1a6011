-- One row per order and company of shop B that any version of the company has shown; is_deleted where the current one
-- no longer does.
with documents as (
    select * from {{ ref('stg_shop_b__document_history') }}
),

listed as (
    select
        * exclude (document),
        unnest({{ json_objects('document', 'orders', '{
            "uid": "VARCHAR", "number": "VARCHAR", "status": "VARCHAR", "total": "VARCHAR", "currency": "VARCHAR",
            "person_uid": "VARCHAR", "created_at": "VARCHAR", "changed_at": "VARCHAR"
        }') }}) as ordered
    from documents
),

extracted as (
    select
        'shop_b' as source,
        'shop_b:' || ordered.uid as record_key,
        ordered.uid as source_order_id,
        'shop_b:' || company_uid as company_key,
        company_uid as source_company_id,
        'shop_b:' || ordered.person_uid as contact_key,
        ordered.person_uid as source_contact_id,
        ordered.number as order_number_raw,
        ordered.status as status_raw,
        ordered.total as amount_raw,
        ordered.currency as currency_raw,
        is_gone as is_deleted,
        {{ utc_from_iso('ordered.created_at') }} as ordered_at,
        coalesce({{ utc_from_iso('ordered.changed_at') }}, document_changed_at) as changed_at,
        document_changed_at, version_number,
        source_position, run_id, ingested_at
    from listed
    where ordered.uid is not null
),

latest as (
    select * from extracted
    qualify row_number() over (
        partition by source_company_id, source_order_id
        order by
            is_deleted, version_number, document_changed_at desc nulls last, changed_at desc, status_raw, amount_raw,
            source_contact_id
    ) = 1
)

select * from latest
