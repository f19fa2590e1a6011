{{ config(materialized='view') }}
-- Every registration that the registry answered with, cleaned and judged: which of them is sold to, which is a branch.
with answers as (
    select * from {{ ref('stg_registry__companies') }}
),

extracts as (
    select * from {{ ref('stg_registry__extracts') }}
),

statuses as (
    select * from {{ ref('registry_statuses') }}
),

states as ( -- of each state that the register gives
    select
        inn, ogrn, party_type, is_ceased,
        unnest(case when status_codes = [] then [null] else status_codes end) as code
    from extracts
),

extracts_judged as ( -- of several states the one that ends most of the company
    select
        inn, ogrn,
        case
            when bool_or(is_ceased) then 'LIQUIDATED'
            when count(code) = 0 then 'ACTIVE'
            else arg_min(
                coalesce(registry_status, 'UNLISTED'),
                list_position(
                    ['LIQUIDATED', 'BANKRUPT', 'LIQUIDATING', 'UNLISTED', 'REORGANIZING', 'ACTIVE'],
                    coalesce(registry_status, 'UNLISTED')
                )
            ) filter (code is not null)
        end as registry_status
    from states
    left join statuses using (party_type, code)
    group by inn, ogrn
),

from_extracts as (
    select
        extracts.* exclude (ceased_code, status_codes, is_ceased),
        registry_status,
        'MAIN' as branch_type,
        true as is_found
    from extracts
    inner join extracts_judged
        on extracts.inn = extracts_judged.inn and extracts.ogrn is not distinct from extracts_judged.ogrn
),

-- An answer tells of an INN as a whole, an extract of one registration: each counts unless the other is newer.
answered as (
    select answers.*
    from answers
    left join from_extracts on answers.inn = from_extracts.inn and from_extracts.asked_at > answers.asked_at
        and (not answers.is_found or answers.ogrn = from_extracts.ogrn)
    where from_extracts.inn is null
),

extracted as (
    select from_extracts.*
    from from_extracts
    left join (select inn, max(asked_at) as asked_at from answers group by inn) as latest using (inn)
    where latest.asked_at is null or from_extracts.asked_at > latest.asked_at
),

registrations as (
    select * from answered
    union all by name
    select * from extracted
),

cleaned as (
    select
        inn,
        nullif(upper(trim(registry_status)), '') as registry_status,
        nullif(trim(kpp), '') as kpp,
        nullif(trim(ogrn), '') as ogrn,
        party_type,
        {{ plain_characters('full_name') }} as full_name,
        {{ plain_characters('short_name') }} as short_name,
        {{ plain_characters('legal_form') }} as legal_form,
        {{ plain_characters('director_name') }} as director_name,
        {{ plain_characters('director_post') }} as director_post,
        {{ plain_characters('legal_address') }} as legal_address,
        is_found,
        coalesce(upper(trim(registrations.registry_status)) in ('ACTIVE', 'REORGANIZING'), false) as is_active,
        coalesce(branch_type = 'BRANCH', false) as is_branch,
        has_date_out_of_range,
        registered_on, liquidated_on, actual_on,
        asked_at, source_position, run_id, ingested_at
    from registrations
)

select * from cleaned
