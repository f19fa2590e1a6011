-- One row per client of shop A: its latest version, cleaned, as typed beside it.
with extracted as (
    select
        json_transform(payload, '{
            "id": "VARCHAR", "name": "VARCHAR", "inn": "VARCHAR", "kpp": "VARCHAR", "ogrn": "VARCHAR",
            "legal_address": "VARCHAR", "bank_name": "VARCHAR", "bik": "VARCHAR", "account": "VARCHAR",
            "corr_account": "VARCHAR", "is_deleted": "VARCHAR", "created_at": "VARCHAR", "updated_at": "VARCHAR"
        }') as client,
        source_position, run_id, ingested_at
    from {{ source('shop_a', 'shop_a__clients') }}
),

latest as (
    select
        client.id as source_company_id,
        client.name as company_name,
        client.inn, client.kpp, client.ogrn, client.legal_address,
        client.bank_name, client.bik, client.account, client.corr_account,
        coalesce(client.is_deleted not in ('0', 'false'), false) as is_deleted,
        {{ utc_from_moscow('client.created_at') }} as created_at,
        {{ utc_from_moscow('client.updated_at') }} as changed_at,
        source_position, run_id, ingested_at
    from extracted
    where client.id is not null
    qualify row_number() over ( -- raw is append-only: a changed client is there once per version
        partition by client.id order by client.updated_at desc nulls last, ingested_at desc, source_position desc
    ) = 1
),

cleaned as (
    select * from {{ with_cleaned_company('latest') }}
)

select
    source_company_id,
    company_name, company_name_raw, inn, inn_raw, kpp, kpp_raw, ogrn, ogrn_raw, legal_address, legal_address_raw,
    bank_name, bank_name_raw, bik, bik_raw, account, account_raw, corr_account, corr_account_raw,
    is_inn_padded, is_deleted,
    created_at, changed_at,
    source_position, run_id, ingested_at
from {{ with_repaired_text('cleaned', ['company_name', 'legal_address', 'bank_name']) }}
