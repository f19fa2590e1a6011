{{ config(materialized='view') }}
-- Every registration that the registry answered with, cleaned and judged: which of them is sold to, which is a branch.
with registrations as (
    select * from {{ ref('stg_registry__companies') }}
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
        coalesce(registrations.registry_status in ('ACTIVE', 'REORGANIZING'), false) as is_active, -- as answered
        coalesce(branch_type = 'BRANCH', false) as is_branch,
        registered_on, liquidated_on, actual_on,
        asked_at, source_position, run_id, ingested_at
    from registrations
)

select * from cleaned
