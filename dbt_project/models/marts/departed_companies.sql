-- Every company id ever minted that crm_companies does not hold now, and what became of it.
with recursive {{ merged_ids(ref('int_companies__identities'), 'company_id') }},

members as (
    select
        identified.company_id,
        bool_and(reason = 'deleted') as is_removed,
        bool_or(reason in ('not_active', 'unknown_to_registry')) as is_inactive
    from (select company_id, unnest(members) as record_key from {{ ref('int_companies__identities') }}) as identified
    left join {{ ref('int_companies__outcomes') }} as outcomes
        on outcomes.source || ':' || outcomes.source_company_id = record_key
    group by identified.company_id
)

select
    company_id,
    case
        when survivors.merged_into is not null then 'merged'
        when is_removed then 'source_removed'
        when is_inactive then 'inactive'
    end as state, -- null: nothing is known against it (its verdict is awaited, its INN was spoilt): its card stays as it is
    survivors.merged_into
from {{ ref('int_companies__identities') }}
left join survivors using (company_id)
left join members using (company_id)
where company_id not in (select company_id from {{ ref('crm_companies') }})
