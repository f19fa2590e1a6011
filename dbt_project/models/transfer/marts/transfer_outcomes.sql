{{ config(materialized='view') }}
-- Where every record of the cloud went, or will when what is planned has been sent. A view, so that what a push has
-- done and what the box refused is told at once. What the move made or changed stays `created` or `updated` when, read
-- again, nothing is left to do about it.
with planned as (
    select *, md5(action || coalesce(fields::varchar, '')) as digest
    from {{ ref('transfer_records') }}
    where {{ transfer_is_record('entity') }}
),

identities as (
    select entity, source_id, proof, is_in_baseline from {{ ref('int_transfer__identities') }}
),

comments as (
    select 'comments' as entity, source_id, unnest((fields -> '$.parts')::json[]) ->> '$.ID' as comment_id
    from planned
    where entity = 'comments'
),

refusals as (
    select
        coalesce(comments.entity, letters.entity) as entity,
        coalesce(comments.source_id, letters.source_id) as source_id,
        min(letters.refusal) as refusal, bool_or(letters.is_of_binding) as is_of_binding
    from {{ ref('stg_transfer__dead_letters') }} as letters
    left join comments on letters.entity = 'comment' and comments.comment_id = letters.source_id
    group by all
),

lines as (
    select * from {{ ref('stg_transfer__ledger') }}
),

judged as (
    select
        planned.*,
        coalesce(planned.target_id, lines.target_id) as known_target_id,
        refusals.refusal, lines.entity is not null as is_in_ledger,
        coalesce(identities.is_in_baseline, false) as is_in_baseline,
        coalesce(identities.proof = 'created_by_us', false) as is_made_by_us,
        refusals.refusal is not null and (planned.action <> 'none' or refusals.is_of_binding) as is_refused,
        planned.action = 'none'
            or (
                planned.action = 'create' and lines.entity is not null
                -- what is set as a whole is dealt with by what it says
                and planned.entity not in ('product_rows', 'requisite_link', 'comments')
            )
            or coalesce(lines.digest = planned.digest and lines.is_newer_than_box, false) as is_dealt_with
    from planned
    left join identities using (entity, source_id)
    left join refusals using (entity, source_id)
    left join lines using (entity, source_id)
),

outcomes as (
    select
        entity, source_id,
        known_target_id as target_id,
        case
            when is_refused then 'refused'
            when outcome = 'unchanged' and (is_made_by_us or (is_in_ledger and not is_in_baseline)) then 'created'
            when outcome = 'unchanged' and is_in_ledger then 'updated'
            else outcome
        end as outcome,
        case when is_refused then refusal else detail end as detail,
        is_dealt_with and not is_refused as is_done
    from judged
)

select * from outcomes
