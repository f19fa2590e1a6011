{{ config(materialized='view') }}
-- Who works where, one row per company and contact, and how we know: the source records that say so. A person's primary company is the one
-- that named them last.
with listed as (
    select
        company_id, contact_id,
        list_sort(list(source || ':' || source_contact_id)) as records,
        max(appearances.changed_at) as changed_at
    from {{ ref('int_company_contacts__appearances') }} as appearances
    inner join {{ ref('int_companies__outcomes') }} as companies using (source, source_company_id)
    inner join {{ ref('int_contacts__outcomes') }} as contacts using (source, source_contact_id)
    where company_id is not null and contact_id is not null
    group by all
)

select
    company_id, contact_id,
    row_number() over (partition by contact_id order by changed_at desc nulls last, company_id) = 1 as is_primary,
    records, changed_at
from listed
