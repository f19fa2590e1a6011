-- Where every source contact went: into a published golden record, or the first reason that keeps it out.
with contacts as (
    select * from {{ ref('int_contacts__validated') }}
),

identities as (
    select * from {{ ref('int_contacts__identities') }} where merged_into is null
),

members as (
    select contact_id, unnest(members) as record_key from identities
),

outcomes as (
    select
        source, record_key,
        source_contact_id as source_id,
        case when reason is null then contact_id end as contact_id,
        reason, company_reason
    from contacts
    left join members using (record_key)
)

select * from outcomes
