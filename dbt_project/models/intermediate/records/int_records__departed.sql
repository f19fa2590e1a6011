-- Every id ever given out that is published no more, and what became of it. The seed rejection_reasons says what a
-- reason means for the card.
with recursive identities as (
    select * from {{ ref('int_records__identities') }}
),

outcomes as (
    select * from {{ ref('int_records__outcomes') }}
),

reasons as (
    select * from {{ ref('rejection_reasons') }}
),

published as (
    select distinct entity, golden_id from outcomes where golden_id is not null
),

departed as (
    select * from identities anti join published using (entity, golden_id)
),

fates as ( -- an id may have been merged into one that was merged later
    select entity, golden_id, merged_into from departed where merged_into is not null
    union
    select fates.entity, fates.golden_id, later.merged_into
    from fates
    inner join identities as later on later.entity = fates.entity and later.golden_id = fates.merged_into
    where later.merged_into is not null
),

survivors as (
    select fates.*
    from fates
    inner join identities as kept on kept.entity = fates.entity and kept.golden_id = fates.merged_into
    where kept.merged_into is null
),

members as (
    select entity, golden_id, unnest(members) as record_key from departed
),

member_states as (
    select
        members.entity, members.golden_id,
        -- a member that no source holds any more, not even as deleted, has no outcome and says nothing: nobody saw it
        -- removed, and the card stays as it is
        coalesce(
            case when own.crm_state = 'of_company' then companies.crm_state else own.crm_state end, 'unchanged'
        ) as crm_state
    from members
    left join outcomes on outcomes.entity = members.entity and outcomes.record_key = members.record_key
    left join reasons as own on own.entity = outcomes.entity and own.reason = outcomes.reason
    left join reasons as companies on companies.entity = 'company' and companies.reason = outcomes.company_reason
),

states as (
    select
        entity, golden_id,
        bool_and(crm_state = 'source_removed') as is_removed,
        bool_or(crm_state = 'inactive') as is_inactive
    from member_states
    group by entity, golden_id
),

with_states as (
    select
        entity, golden_id,
        case
            when survivors.merged_into is not null then 'merged'
            when is_removed then 'source_removed'
            when is_inactive then 'inactive'
            -- else nothing is known against it (its verdict is awaited, its INN was spoilt): its card stays as it is
        end as state,
        survivors.merged_into
    from departed
    left join survivors using (entity, golden_id)
    left join states using (entity, golden_id)
)

select * from with_states
