{{ config(materialized='view') }}
-- Who works where, one row per company and contact, and how we know: the source records that say so. A person's primary
-- company is the one that named them last.
with appearances as (
    select * from {{ ref('int_company_contacts__appearances') }}
),

companies as (
    select * from {{ ref('int_companies__outcomes') }} where company_id is not null
),

contacts as (
    select * from {{ ref('int_contacts__outcomes') }} where contact_id is not null
),

listed as (
    select
        company_id, contact_id,
        list_sort(list(appearances.record_key)) as records,
        max(appearances.changed_at) as changed_at
    from appearances
    inner join companies on companies.record_key = appearances.company_key
    inner join contacts on contacts.record_key = appearances.record_key
    group by all
),

linked as (
    select
        company_id, contact_id,
        row_number() over (partition by contact_id order by changed_at desc nulls last, company_id) = 1 as is_primary,
        records, changed_at
    from listed
)

select * from linked
