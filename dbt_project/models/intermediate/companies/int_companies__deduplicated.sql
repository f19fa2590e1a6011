{{ config(materialized='view') }}
-- One golden record per company, and which record each value came from (`registry`, or a record key).
-- The registry's facts come first; else the newest usable value, with a total order, so that two runs agree.
with outcomes as (
    select * from {{ ref('int_companies__outcomes') }} where company_id is not null
),

companies as (
    select * from {{ ref('int_companies__validated') }}
),

titles as (
    select * from {{ ref('int_companies__titled') }}
),

facts as (
    select * from {{ ref('int_companies__verdicts') }}
),

members as (
    select
        outcomes.company_id,
        companies.*,
        titles.title, titles.legal_form,
        row_number() over (
            partition by outcomes.company_id
            order by companies.changed_at nulls first, companies.source, source_company_id
        ) as survivor_rank
    from outcomes
    inner join companies using (record_key)
    left join titles using (record_key)
),

survivors as (
    select
        company_id,
        any_value(inn) as inn,
        arg_max(title, survivor_rank) filter (title is not null) as title,
        arg_max(record_key, survivor_rank) filter (title is not null) as title_from,
        arg_max(legal_form, survivor_rank) filter (legal_form is not null) as legal_form,
        arg_max(record_key, survivor_rank) filter (legal_form is not null) as legal_form_from,
        arg_max(kpp, survivor_rank) filter (kpp is not null) as kpp,
        arg_max(record_key, survivor_rank) filter (kpp is not null) as kpp_from,
        arg_max(ogrn, survivor_rank) filter (ogrn is not null) as ogrn,
        arg_max(record_key, survivor_rank) filter (ogrn is not null) as ogrn_from,
        arg_max(legal_address, survivor_rank) filter (legal_address is not null) as legal_address,
        arg_max(record_key, survivor_rank) filter (legal_address is not null) as legal_address_from,
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
        survivors.inn,
        coalesce(facts.kpp, survivors.kpp) as kpp,
        coalesce(facts.ogrn, survivors.ogrn) as ogrn,
        -- a company nobody named is shown by its INN
        coalesce(
            {{ with_balanced_marks('coalesce(facts.short_name, facts.full_name)') }},
            survivors.title, 'ИНН ' || survivors.inn
        ) as title,
        facts.full_name,
        coalesce(facts.legal_form, survivors.legal_form) as legal_form,
        facts.director_name,
        facts.director_post,
        coalesce(facts.legal_address, survivors.legal_address) as legal_address,
        bank.bank_name, bank.bik, bank.account, bank.corr_account,
        facts.registry_status,
        sources,
        record_count,
        case when facts.kpp is not null then 'registry' else kpp_from end as kpp_from,
        case when facts.ogrn is not null then 'registry' else ogrn_from end as ogrn_from,
        case
            when coalesce(facts.short_name, facts.full_name) is not null then 'registry' else title_from
        end as title_from,
        case when facts.legal_form is not null then 'registry' else legal_form_from end as legal_form_from,
        case when facts.legal_address is not null then 'registry' else legal_address_from end as legal_address_from,
        bank_from,
        first_created_at, survivors.changed_at,
        facts.asked_at as verdict_at
    from survivors
    left join facts on facts.inn = survivors.inn
),

requisites as ( -- twelve digits are a person's number: such a company is an entrepreneur, whose OGRN is an OGRNIP
    select
        *,
        left(inn, 2) as region, -- whose tax office gave it
        case when length(inn) = 12 then 'INDIVIDUAL' else 'COMPANY' end as requisite_preset,
        case when length(inn) = 12 then 'ИП' else 'Организация' end as requisite_name,
        case when length(inn) = 10 then ogrn end as requisite_ogrn,
        case when length(inn) = 12 then ogrn end as requisite_ogrnip,
        coalesce(bank_name, bik, account) as bank_detail_name
    from golden
)

select * from requisites
