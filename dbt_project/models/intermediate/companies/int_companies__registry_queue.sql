-- Every INN that the registry must answer for, once.
with companies as (
    select * from {{ ref('int_companies__validated') }}
),

activity as (
    select * from {{ ref('int_companies__activity') }}
),

queue as (
    select distinct companies.inn
    from companies
    inner join activity using (record_key)
    where is_inn_valid and not is_deleted and is_in_period
)

select * from queue
