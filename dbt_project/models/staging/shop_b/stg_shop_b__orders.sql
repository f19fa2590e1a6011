-- One row per order of shop B that any version of a company has shown; is_deleted where the current one no longer does.
with listed as (
    select
        * exclude (document),
        unnest(json_transform(document, '{"orders": [{
            "uid": "VARCHAR", "number": "VARCHAR", "status": "VARCHAR", "total": "VARCHAR", "currency": "VARCHAR",
            "person_uid": "VARCHAR", "created_at": "VARCHAR", "changed_at": "VARCHAR"
        }]}').orders) as ordered
    from {{ ref('stg_shop_b__document_history') }}
),

orders as materialized ( -- read more than once below
    select
        ordered.uid as source_order_id,
        company_uid as source_company_id,
        ordered.person_uid as source_contact_id,
        {{ plain_characters('ordered.number') }} as order_number,
        lower(trim(ordered.status)) as status,
        ordered.status as status_raw,
        try_cast(replace(regexp_replace(ordered.total, '[\p{Z}\p{C}]', '', 'g'), ',', '.') as decimal(14, 2)) as amount,
        case when upper(trim(ordered.currency)) in ('RUB', 'RUR', '') or ordered.currency is null then 'RUB'
            else upper(trim(ordered.currency)) end as currency, -- roubles unless said otherwise; RUR was their code until 1998
        is_gone as is_deleted,
        {{ utc_from_iso('ordered.created_at') }} as ordered_at,
        coalesce({{ utc_from_iso('ordered.changed_at') }}, changed_at) as changed_at,
        version_number, changed_at as document_changed_at, source_position, run_id, ingested_at
    from listed
    where ordered.uid is not null
),

newest as (
    {{ newest_per_key(
        'orders', 'source_order_id',
        'is_deleted, version_number, document_changed_at desc nulls last, source_company_id, changed_at desc, status_raw, amount, source_contact_id'
    ) }}
)

select * exclude (version_number, document_changed_at) from newest
