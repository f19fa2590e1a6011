-- Every source company with one flag per rule. An attribute that breaks its rule is null here; the company stays.
with companies as (
    select * from {{ ref('int_companies__cleaned') }}
),

judged as (
    select
        *,
        inn_raw is null or not regexp_matches(inn_raw, '[0-9]') as is_inn_missing, -- "-", "нет", "не указан"
        {{ inn_is_valid('inn') }} as is_inn_valid,
        {{ inn_is_cut('inn_raw') }} as is_inn_cut,
        -- entrepreneurs have no KPP
        {{ kpp_is_well_formed('kpp') }} and (length(inn) is distinct from 12) as is_kpp_usable,
        {{ ogrn_is_valid('ogrn') }}
            and length(ogrn) = case length(inn) when 12 then 15 when 10 then 13 else length(ogrn) end as is_ogrn_valid,
        {{ bik_is_well_formed('bik') }} as is_bik_well_formed,
        {{ account_key_agrees('bik', 'account') }} as is_account_valid,
        {{ account_key_agrees('bik', 'corr_account', is_correspondent=true) }} as is_corr_account_valid
    from companies
),

validated as (
    select
        source, record_key, source_company_id,
        company_name, company_name_raw,
        case when is_inn_valid then inn end as inn, inn_raw,
        case when is_kpp_usable then kpp end as kpp, kpp_raw,
        case when is_ogrn_valid then ogrn end as ogrn, ogrn_raw,
        legal_address,
        -- bank details are one unit: without an account that passes its key there is none
        case when is_account_valid then bank_name end as bank_name,
        case when is_account_valid then bik end as bik, bik_raw,
        case when is_account_valid then account end as account, account_raw,
        case when is_account_valid and is_corr_account_valid then corr_account end as corr_account, corr_account_raw,
        is_inn_missing, is_inn_valid, is_inn_cut, is_inn_padded and is_inn_valid as is_inn_padded,
        is_kpp_usable, is_ogrn_valid, is_bik_well_formed, is_account_valid, is_corr_account_valid,
        is_deleted,
        created_at, changed_at,
        source_position, run_id, ingested_at
    from judged
)

select * from validated
