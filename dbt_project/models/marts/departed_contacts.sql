-- Every contact id ever minted that crm_contacts does not hold now, and what became of it.
with recursive fates as ( -- an id may have been merged into one that was merged later
    select contact_id, merged_into from {{ ref('int_contacts__identities') }} where merged_into is not null
    union
    select fates.contact_id, later.merged_into
    from fates
    inner join {{ ref('int_contacts__identities') }} as later on later.contact_id = fates.merged_into
    where later.merged_into is not null
),

survivors as (
    select fates.contact_id, fates.merged_into
    from fates
    inner join {{ ref('int_contacts__identities') }} as identities on identities.contact_id = fates.merged_into
    where identities.merged_into is null
),

members as (
    select
        held.contact_id,
        bool_and(coalesce(reason in ('deleted', 'orphan', 'empty') or company_reason = 'deleted', true)) as is_removed,
        bool_or(company_reason in ('not_active', 'unknown_to_registry')) as is_inactive
    from (select contact_id, unnest(members) as record_key from {{ ref('int_contacts__identities') }}) as held
    left join {{ ref('int_contacts__outcomes') }} as outcomes on outcomes.source || ':' || outcomes.source_contact_id = record_key
    group by all
)

select
    contact_id,
    case
        when survivors.merged_into is not null then 'merged'
        when is_removed then 'source_removed'
        when is_inactive then 'inactive'
    end as state, -- null: nothing is known against it (its company's verdict is awaited): its card stays as it is
    survivors.merged_into
from {{ ref('int_contacts__identities') }}
left join survivors using (contact_id)
left join members using (contact_id)
where contact_id not in (select contact_id from {{ ref('crm_contacts') }})
