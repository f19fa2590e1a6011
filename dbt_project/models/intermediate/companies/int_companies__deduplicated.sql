{{ config(materialized='view') }}
-- One golden record per company, and which record each value came from (`registry`, or `<source>:<source_company_id>`).
-- The registry's facts come first; else the newest usable value, with a total order, so that two runs agree.
with members as (
    select
        outcomes.company_id,
        source || ':' || source_company_id as record_key,
        companies.*,
        titles.title, titles.opf,
        row_number() over (
            partition by outcomes.company_id order by companies.changed_at nulls first, source, source_company_id
        ) as survivor_rank
    from {{ ref('int_companies__outcomes') }} as outcomes
    inner join {{ ref('int_companies__validated') }} as companies using (source, source_company_id)
    left join {{ ref('int_companies__titled') }} as titles using (source, source_company_id)
    where outcomes.company_id is not null
),

typed as (
    select
        company_id,
        any_value(inn) as inn,
        {% for field in ['title', 'opf', 'kpp', 'ogrn', 'legal_address'] -%}
        arg_max({{ field }}, survivor_rank) filter ({{ field }} is not null) as {{ field }},
        arg_max(record_key, survivor_rank) filter ({{ field }} is not null) as {{ field }}_from,
        {% endfor -%}
        arg_max(struct_pack(bank_name, bik, account, corr_account), survivor_rank) filter (is_account_valid) as bank,
        arg_max(record_key, survivor_rank) filter (is_account_valid) as bank_from,
        string_agg(distinct source, ', ' order by source) as sources,
        count(*) as record_count,
        min(created_at) as first_created_at,
        max(changed_at) as changed_at
    from members
    group by company_id
),

golden as (
    select
        company_id,
        typed.inn,
        coalesce(facts.kpp, typed.kpp) as kpp,
        coalesce(facts.ogrn, typed.ogrn) as ogrn,
        -- a company nobody named is shown by its INN
        coalesce(facts.short_name, facts.full_name, typed.title, 'ИНН ' || typed.inn) as title,
        facts.full_name,
        coalesce(facts.opf, typed.opf) as opf,
        facts.director_name,
        facts.director_post,
        coalesce(facts.legal_address, typed.legal_address) as legal_address,
        bank.bank_name, bank.bik, bank.account, bank.corr_account,
        facts.registry_status,
        sources,
        record_count,
        {% for field, fact in {'kpp': 'kpp', 'ogrn': 'ogrn', 'title': 'short_name', 'opf': 'opf', 'legal_address': 'legal_address'}.items() -%}
        case when facts.{{ fact }} is not null then 'registry' else typed.{{ field }}_from end as {{ field }}_from,
        {% endfor -%}
        bank_from,
        first_created_at, typed.changed_at,
        facts.asked_at as verdict_at
    from typed
    left join {{ ref('int_companies__verdicts') }} as facts on facts.inn = typed.inn
)

select
    *,
    -- Twelve digits are a person's number: such a company is an entrepreneur, whose OGRN is an OGRNIP.
    case when length(inn) = 12 then 'INDIVIDUAL' else 'COMPANY' end as requisite_preset,
    case when length(inn) = 12 then 'ИП' else 'Организация' end as requisite_name,
    case when length(inn) = 10 then ogrn end as requisite_ogrn,
    case when length(inn) = 12 then ogrn end as requisite_ogrnip,
    coalesce(bank_name, bik, account) as bank_detail_name
from golden
