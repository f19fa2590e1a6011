-- One row per order of shop A: its latest version.
with extracted as materialized ( -- read more than once below
    select
        ordered.id as source_order_id,
        ordered.client_id as source_company_id,
        ordered.contact_id as source_contact_id,
        {{ plain_characters('ordered.number') }} as order_number,
        lower(trim(ordered.status)) as status,
        ordered.status as status_raw,
        try_cast(ordered.total as decimal(14, 2)) as amount,
        'RUB' as currency, -- shop A keeps its totals in roubles
        false as is_deleted,
        {{ utc_from_moscow('ordered.created_at') }} as ordered_at,
        {{ utc_from_moscow('ordered.updated_at') }} as changed_at,
        source_position, run_id, ingested_at
    from (
        select
            json_transform(payload, '{
                "id": "VARCHAR", "client_id": "VARCHAR", "contact_id": "VARCHAR", "number": "VARCHAR", "status": "VARCHAR",
                "total": "VARCHAR", "created_at": "VARCHAR", "updated_at": "VARCHAR"
            }') as ordered,
            source_position, run_id, ingested_at
        from {{ source('shop_a', 'shop_a__orders') }}
    )
    where ordered.id is not null
),

latest as ( -- raw is append-only: a changed order is there once per version
    {{ newest_per_key('extracted', 'source_order_id', 'changed_at desc nulls last, ingested_at desc, source_position desc') }}
)

select * from latest
