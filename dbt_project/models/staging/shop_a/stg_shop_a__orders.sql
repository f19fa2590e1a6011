-- One row per order of shop A: its latest version.
with orders as (
    select * from {{ source('shop_a', 'shop_a__orders') }}
),

landed as (
    select
        json_transform(payload, '{
            "id": "VARCHAR", "client_id": "VARCHAR", "contact_id": "VARCHAR", "number": "VARCHAR", "status": "VARCHAR",
            "total": "VARCHAR", "created_at": "VARCHAR", "updated_at": "VARCHAR"
        }') as ordered,
        source_key, source_position, run_id, ingested_at
    from orders
),

gone as ( -- a row that is no longer at the server has landed as one without a payload
    select source_key, max(ingested_at) as gone_at from orders
    where payload is null
    group by source_key
),

extracted as (
    select
        'shop_a' as source,
        'shop_a:' || ordered.id as record_key,
        ordered.id as source_order_id,
        'shop_a:' || ordered.client_id as company_key,
        ordered.client_id as source_company_id,
        'shop_a:' || ordered.contact_id as contact_key,
        ordered.contact_id as source_contact_id,
        ordered.number as order_number_raw,
        ordered.status as status_raw,
        ordered.total as amount_raw,
        'RUB' as currency_raw, -- shop A keeps its totals in roubles
        coalesce(ingested_at <= gone_at, false) as is_deleted,
        {{ utc_from_moscow('ordered.created_at') }} as ordered_at,
        {{ utc_from_moscow('ordered.updated_at') }} as changed_at,
        source_position, run_id, ingested_at
    from landed
    left join gone using (source_key)
    where ordered.id is not null
),

latest as ( -- as it was when it was last read: a time of change may have been set back, or was of the future
    select * from extracted
    qualify row_number() over (
        partition by source_order_id
        order by ingested_at desc, changed_at desc nulls last, source_position desc
    ) = 1
)

select * from latest
