{{ config(materialized='view') }}
-- Who is listed under which company now.
with listed as (
    select * from {{ ref('int_company_contacts__unioned') }}
),

appearances as (
    select source, record_key, company_key, changed_at from listed where not is_deleted
)

select * from appearances
