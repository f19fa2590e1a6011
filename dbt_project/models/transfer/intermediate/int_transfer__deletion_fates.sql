-- What becomes of every record that the cloud has deleted: one row each.
{%- set deletions = env_var('SVOD_TRANSFER_DELETIONS', 'report') or 'report' %}
{%- if deletions not in ('report', 'delete') %}
    {{ exceptions.raise_compiler_error(
        "SVOD_TRANSFER_DELETIONS is '" ~ deletions ~ "'; report or delete is expected"
    ) }}
{%- endif %}
with deleted as (
    select
        entity, source_id,
        case
            when is_changed_in_box or is_needed then 'none'
            when is_owner_there then 'update' -- a card that has lost its rows is a changed one
            when '{{ deletions }}' = 'report' then 'none'
            else 'delete'
        end as action,
        case
            when is_changed_in_box or is_needed then 'conflict'
            when is_owner_there then 'updated'
            else 'deleted_in_cloud'
        end as outcome,
        case
            when is_changed_in_box then 'deleted in the cloud, changed in the box'
            when is_needed then 'deleted in the cloud; on it hangs in the box what stays there'
            else 'deleted in the cloud'
        end as detail,
        target_id, created_at
    from {{ ref('int_transfer__deletions') }}
    left join (select *, true as is_needed from {{ ref('int_transfer__needed_in_box') }}) using (entity, box_key)
    where {{ transfer_is_chosen('entity') }}
)

select * from deleted
