-- Where every source contact went: into a published golden record, or the first reason that keeps it out.
with members as (
    select contact_id, unnest(members) as record_key
    from {{ ref('int_contacts__identities') }}
    where merged_into is null
)

select
    source, source_contact_id,
    case when reason is null then contact_id end as contact_id,
    reason, company_reason
from {{ ref('int_contacts__validated') }}
left join members using (record_key)
