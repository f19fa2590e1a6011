-- The company each source record with a valid INN belongs to.
with companies as (
    select * from {{ ref('int_companies__validated') }}
),

identities as (
    select * from {{ ref('int_companies__identities') }}
),

clustered as (
    select record_key, company_id, companies.inn
    from companies
    inner join identities on identities.inn = companies.inn
    where is_inn_valid
)

select * from clustered
