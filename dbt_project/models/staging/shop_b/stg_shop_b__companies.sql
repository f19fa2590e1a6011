-- One row per company of shop B: what its newest document says, cleaned, as typed beside it.
with extracted as (
    select
        company_uid as source_company_id,
        json_transform(document, '{
            "title": "VARCHAR", "inn": "VARCHAR", "kpp": "VARCHAR", "ogrn": "VARCHAR", "legal_address": "VARCHAR",
            "bank": {"name": "VARCHAR", "bik": "VARCHAR", "account": "VARCHAR", "corr_account": "VARCHAR"},
            "created_at": "VARCHAR"
        }') as company,
        is_deleted,
        changed_at,
        source_position, run_id, ingested_at
    from {{ ref('stg_shop_b__documents') }}
),

unpacked as (
    select
        source_company_id,
        company.title as company_name,
        company.inn, company.kpp, company.ogrn, company.legal_address,
        company.bank.name as bank_name,
        company.bank.bik, company.bank.account, company.bank.corr_account,
        is_deleted,
        {{ utc_from_iso('company.created_at') }} as created_at,
        changed_at,
        source_position, run_id, ingested_at
    from extracted
),

cleaned as (
    select * from {{ with_cleaned_company('unpacked') }}
)

select
    source_company_id,
    company_name, company_name_raw, inn, inn_raw, kpp, kpp_raw, ogrn, ogrn_raw, legal_address, legal_address_raw,
    bank_name, bank_name_raw, bik, bik_raw, account, account_raw, corr_account, corr_account_raw,
    is_inn_padded, is_deleted,
    created_at, changed_at,
    source_position, run_id, ingested_at
from {{ with_repaired_text('cleaned', ['company_name', 'legal_address', 'bank_name']) }}
