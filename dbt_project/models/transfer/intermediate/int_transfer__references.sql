-- What a value of the cloud that points to something is in the box, one row per thing of the cloud: users, entries of
-- dictionaries, records. `target_json` is what is sent: of a record that is yet to be made, a `ref` that the writer
-- replaces when it is made; of one that does not move, nothing.
with users as (
    select 'user' as kind, user_id as source_value, target_id as target_value, proof
    from {{ ref('int_transfer__users') }}
),

dictionaries as (
    select kind, source_value, target_value, proof from {{ ref('int_transfer__dictionaries') }}
),

records as (
    select
        entity as kind, source_id as source_value,
        case when is_in_box then box_key end as target_value,
        case
            when proof is null and not ({{ transfer_is_chosen('entity') }} and coalesce(is_owner_there, true))
                then 'not_moved'
            when proof is null then 'to_create'
            when not is_in_box then 'deleted_in_box'
            else proof
        end as proof
    from {{ ref('int_transfer__identities') }}
    left join {{ ref('int_transfer__owners') }} using (entity, source_id)
    where entity in ('company', 'requisite', 'bank_detail', 'contact', 'lead', 'deal', 'activity')
),

everything as (
    select * from users
    union all
    select * from dictionaries
    union all
    select * from records
),

with_json as (
    select
        kind, source_value, target_value, proof,
        case
            when proof = 'to_create' then json_object('ref', [kind, source_value])
            when kind like 'status:%' or kind in ('stage', 'currency') then to_json(target_value)
            else to_json(try_cast(target_value as bigint))
        end as target_json,
        proof is not null and proof not in ('fallback', 'deleted_in_box', 'not_moved') as is_proven,
        proof is not null as is_resolved,
        coalesce(target_value = source_value, false) as is_identity
    from everything
)

select * from with_json
