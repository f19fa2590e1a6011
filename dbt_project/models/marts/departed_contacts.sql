-- Every contact id ever minted that crm_contacts does not hold now, and what became of it.
with recursive {{ merged_ids(ref('int_contacts__identities'), 'contact_id') }},

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
