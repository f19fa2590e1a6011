-- One row per client of shop A: its latest version, the text as entered.
with clients as (
    select * from {{ source('shop_a', 'shop_a__clients') }}
),

landed as (
    select
        json_transform(payload, '{
            "id": "VARCHAR", "name": "VARCHAR", "inn": "VARCHAR", "kpp": "VARCHAR", "ogrn": "VARCHAR",
            "legal_address": "VARCHAR", "bank_name": "VARCHAR", "bik": "VARCHAR", "account": "VARCHAR",
            "corr_account": "VARCHAR", "is_deleted": "VARCHAR", "created_at": "VARCHAR", "updated_at": "VARCHAR"
        }') as client,
        source_key, source_position, run_id, ingested_at
    from clients
),

gone as ( -- a row that is no longer at the server has landed as one without a payload
    select source_key, max(ingested_at) as gone_at from clients
    where payload is null
    group by source_key
),

extracted as (
    select
        'shop_a' as source,
        'shop_a:' || client.id as record_key,
        client.id as source_company_id,
        client.name as company_name_raw,
        client.inn as inn_raw,
        client.kpp as kpp_raw,
        client.ogrn as ogrn_raw,
        client.legal_address as legal_address_raw,
        client.bank_name as bank_name_raw,
        client.bik as bik_raw,
        client.account as account_raw,
        client.corr_account as corr_account_raw,
        coalesce(client.is_deleted not in ('0', 'false'), false)
        or coalesce(ingested_at <= gone_at, false) as is_deleted,
        {{ utc_from_moscow('client.created_at') }} as created_at,
        {{ utc_from_moscow('client.updated_at') }} as changed_at,
        source_position, run_id, ingested_at
    from landed
    left join gone using (source_key)
    where client.id is not null
),

latest as ( -- as it was when it was last read: a time of change may have been set back, or was of the future
    select * from extracted
    qualify row_number() over (
        partition by source_company_id
        order by ingested_at desc, changed_at desc nulls last, source_position desc
    ) = 1
)

select * from latest
