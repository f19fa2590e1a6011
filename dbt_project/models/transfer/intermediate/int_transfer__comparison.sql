-- The three-way comparison, a row a field of a candidate in the box: `wanted` is the cloud's value after translation.
-- What the box has is nobody's work there when it is what was restored, or what the cloud had before, unless people
-- have changed the record since it was sent; or when a push wrote it that this warehouse does not know of.
{%- set winner = env_var('SVOD_TRANSFER_WINNER', 'list') or 'list' %}
{%- if winner not in ('cloud', 'box', 'list') %}
    {{ exceptions.raise_compiler_error("SVOD_TRANSFER_WINNER is '" ~ winner ~ "'; cloud, box or list is expected") }}
{%- endif %}
with candidates as (
    select * from {{ ref('int_transfer__candidates') }} where is_in_box
),

readings as (
    select * from {{ ref('int_transfer__values') }}
),

cloud as (
    select * from readings where side = 'cloud'
),

box as (
    select * from readings where side = 'box'
),

baseline as (
    select * from readings where side = 'baseline'
),

past as (
    select entity, source_id, field, list(canonical) as earlier, bool_or(canonical is null) as was_empty
    from readings
    where side = 'past'
    group by all
),

fields as ( -- those that the cloud has, also empty ones: of what only the box has, the cloud says nothing
    select entity, source_id, field, kind, sent, is_compared, value as untranslated
    from {{ ref('int_transfer__cells') }}
    where side = 'cloud'
),

made as (
    select entity, source_id, true as is_made_by_us from {{ ref('stg_transfer__ledger') }} where not is_adopted
),

unseen as (
    select entity, box_key, true as is_of_the_move from {{ ref('int_transfer__written_unseen') }}
),

unproven_users as (select list(user_id) as user_ids from {{ ref('int_transfer__users') }} where not is_proven),

restored_users as ( -- whom the cloud names as the backup did: the box's own stays, whoever would stand for them now
    select cloud_cells.entity, cloud_cells.source_id, cloud_cells.field, true as is_restored_user
    from {{ ref('int_transfer__cells') }} as cloud_cells
    inner join {{ ref('int_transfer__cells') }} as restored using (entity, source_id, field)
    cross join unproven_users
    where cloud_cells.side = 'cloud' and restored.side = 'baseline' and cloud_cells.kind = 'user'
        and cloud_cells.value::varchar = restored.value::varchar
        and list_has_any({{ transfer_elements('cloud_cells.value') }}, user_ids)
),

side_by_side as (
    select
        fields.* exclude (untranslated, sent),
        coalesce(cloud.sent, fields.sent) as sent,
        coalesce(cloud.value, case when json_type(untranslated) = 'ARRAY' then '[]'::json else 'null'::json end)
            as value,
        cloud.canonical as wanted, box.canonical as in_box, baseline.canonical as in_baseline,
        candidates.is_in_baseline as has_baseline,
        (cloud.canonical is not distinct from box.canonical)
            or (is_restored_user and (box.canonical is not distinct from baseline.canonical)) is true as is_equal,
        (
            (candidates.is_in_baseline and (box.canonical is not distinct from baseline.canonical))
            or list_contains(past.earlier, box.canonical) or (box.canonical is null and coalesce(past.was_empty, false))
            or deliveries.is_as_made
        ) and not coalesce(deliveries.is_of_people, false) as is_box_untouched,
        case when is_restored_user then true
            when deliveries.is_unchanged is not null then deliveries.is_unchanged
            when candidates.is_in_baseline then (cloud.canonical is not distinct from baseline.canonical)
            -- what we made has what we sent, unless the cloud has changed it since
            else (candidates.proof in ('created_by_us', 'of_owner') and is_made_by_us and past.earlier is null)
                or list_contains(past.earlier, cloud.canonical)
        end as is_cloud_untouched,
        is_of_the_move
    from fields
    inner join candidates using (entity, source_id)
    left join cloud using (entity, source_id, field)
    left join box using (entity, source_id, field)
    left join baseline using (entity, source_id, field)
    left join past using (entity, source_id, field)
    left join restored_users using (entity, source_id, field)
    left join {{ ref('int_transfer__deliveries') }} as deliveries using (entity, source_id, field)
    left join made using (entity, source_id)
    left join unseen on unseen.entity = fields.entity and unseen.box_key = candidates.box_key
),

judged as (
    select
        *,
        case
            when sent in ('create', 'never') then 'left_out'
            when is_equal then 'equal'
            when coalesce(is_box_untouched, false) then 'update'
            when coalesce(is_cloud_untouched, false) then 'box_kept'
            when is_of_the_move then 'update'
            else 'conflict'
        end as verdict
    from side_by_side
),

decided as (
    select
        *,
        verdict = 'update' or (verdict = 'conflict' and '{{ winner }}' = 'cloud') as is_updated,
        verdict = 'conflict' and '{{ winner }}' = 'list' as is_left_to_people
    from judged
)

select * from decided
