-- One row per company of shop B: what its newest document says, as entered.
with documents as (
    select * from {{ ref('stg_shop_b__documents') }}
),

unpacked as (
    select
        company_uid,
        json_transform(document, '{
            "title": "VARCHAR", "inn": "VARCHAR", "kpp": "VARCHAR", "ogrn": "VARCHAR", "legal_address": "VARCHAR",
            "bank": {"name": "VARCHAR", "bik": "VARCHAR", "account": "VARCHAR", "corr_account": "VARCHAR"},
            "created_at": "VARCHAR"
        }') as company,
        is_deleted,
        changed_at,
        source_position, run_id, ingested_at
    from documents
),

extracted as (
    select
        'shop_b' as source,
        'shop_b:' || company_uid as record_key,
        company_uid as source_company_id,
        company.title as company_name_raw,
        company.inn as inn_raw,
        company.kpp as kpp_raw,
        company.ogrn as ogrn_raw,
        company.legal_address as legal_address_raw,
        company.bank.name as bank_name_raw,
        company.bank.bik as bik_raw,
        company.bank.account as account_raw,
        company.bank.corr_account as corr_account_raw,
        is_deleted,
        {{ utc_from_iso('company.created_at') }} as created_at,
        changed_at,
        source_position, run_id, ingested_at
    from unpacked
)

select * from extracted
