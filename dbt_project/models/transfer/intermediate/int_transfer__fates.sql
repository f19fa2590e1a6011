-- What becomes of every record: one row a record of the cloud, and one a record that the cloud has deleted.
with identities as (
    select * from {{ ref('int_transfer__identities') }}
),

compared as (
    select
        entity, source_id,
        bool_or(is_updated) as has_updates, bool_or(is_left_to_people) as has_open_conflicts,
        bool_or(verdict in ('box_kept', 'conflict') and not is_updated) as has_kept,
        string_agg(field, ', ' order by field) filter (verdict = 'update') as updated_fields,
        string_agg(field, ', ' order by field) filter (verdict = 'box_kept') as kept_fields,
        string_agg(field, ', ' order by field) filter (verdict = 'conflict') as conflict_fields
    from {{ ref('int_transfer__comparison') }}
    group by all
),

pointing_nowhere as (
    select entity, source_id, array_to_string(list_sort(list_distinct(flatten(list(orphans)))), ', ') as orphans
    from {{ ref('int_transfer__values') }}
    where side = 'cloud' and len(orphans) > 0
    group by all
),

with_owners as (
    select
        identities.* exclude (owner_entity, owner_id),
        owners.owner_entity, owners.owner_id,
        coalesce(owners.is_comment, false) as is_comment,
        coalesce(owners.is_owner_there, true) as is_owner_there,
        coalesce(owners.is_owner_deleted_in_box, false) as is_owner_deleted_in_box,
        {{ transfer_is_chosen('identities.entity') }} as is_chosen,
        comments.lacking_count
    from identities
    left join {{ ref('int_transfer__owners') }} as owners using (entity, source_id)
    left join {{ ref('int_transfer__comments') }} as comments
        on identities.entity = 'comments' and comments.source_id = identities.source_id
),

judged as (
    select
        with_owners.*,
        updated_fields, kept_fields, conflict_fields, orphans,
        coalesce(has_updates, false) as has_updates,
        case
            when not is_chosen or (not is_owner_there and not is_in_box) then 'unsupported'
            when is_owner_deleted_in_box then 'box_kept'
            when lacking_count = 0 then 'unchanged'
            when lacking_count > 0 then case when is_in_box then 'updated' else 'created' end
            when proof is null then 'created'
            when not is_in_box and is_comment then 'unchanged'
            when not is_in_box and proof = 'of_owner' and not is_in_baseline then 'created'
            when not is_in_box then 'box_kept'
            when has_open_conflicts then 'conflict'
            when has_updates then 'updated'
            when has_kept then 'box_kept'
            else 'unchanged'
        end as outcome
    from with_owners
    left join compared using (entity, source_id)
    left join pointing_nowhere using (entity, source_id)
),

of_the_cloud as (
    select
        entity, source_id,
        case
            when outcome = 'created' then 'create'
            when outcome = 'updated' or (outcome = 'conflict' and has_updates) then 'update'
            else 'none'
        end as action,
        outcome,
        nullif(concat_ws(
            '; ',
            case
                when not is_chosen then 'left out by SVOD_TRANSFER_ENTITIES'
                when outcome = 'unsupported'
                    then 'its owner is not moved: '
                        || concat_ws(' ', coalesce(owner_entity, 'another kind of card'), owner_id)
                when is_owner_deleted_in_box then 'its owner was deleted in the box'
                when outcome = 'box_kept' and not is_in_box then 'deleted in the box'
                when outcome = 'created' and is_comment then 'becomes a comment: no webhook may make such an activity'
                when outcome = 'created' and is_id_of_another then 'the box has another record with this id'
                when lacking_count > 0 then 'comments: ' || lacking_count
            end,
            case when is_chosen then 'changed in the cloud: ' || updated_fields end,
            case when is_chosen then 'changed in the box: ' || kept_fields end,
            case when is_chosen then 'changed in both: ' || conflict_fields end,
            case when is_chosen then 'points to what is not there: ' || orphans end
        ), '') as detail,
        target_id, created_at
    from judged
),

fates as (
    select * from of_the_cloud
    union all
    select * from {{ ref('int_transfer__deletion_fates') }}
)

select * from fates
