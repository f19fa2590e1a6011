-- Cards of the box whose history is not the cloud's although nobody worked on them there: an import refused the dates,
-- or a later write of the move moved them. No method writes these; what the columns have goes to the box's own
-- database, by the file dates.sql. Null: is right as it is.
with history as (
    select entity, source_id, field, wanted
    from {{ ref('int_transfer__comparison') }}
    where entity in ('company', 'contact', 'lead', 'deal') and not is_equal and wanted is not null
        and field in ('createdTime', 'updatedTime', 'movedTime', 'createdBy', 'updatedBy', 'movedBy')
),

cards as (
    select
        records.entity, records.source_id, records.target_id,
        identities.proof = 'created_by_us' as is_made_by_us,
        records.created_at as cloud_created_at
    from {{ ref('transfer_records') }} as records
    inner join {{ ref('int_transfer__identities') }} as identities using (entity, source_id)
    where records.outcome in ('unchanged', 'updated') and records.action = 'none'
),

changed as ( -- people of the box have worked on these, and their time is the true one
    select entity, source_id
    from {{ ref('int_transfer__comparison') }}
    where verdict in ('box_kept', 'conflict')
),

by_card as (
    select
        cards.entity, cards.source_id, cards.target_id,
        cards.is_made_by_us,
        cards.cloud_created_at,
        max(wanted) filter (field = 'createdTime')::timestamp as created_at,
        max(wanted) filter (field = 'updatedTime')::timestamp as updated_at,
        max(wanted) filter (field = 'movedTime')::timestamp as moved_at,
        max(wanted) filter (field = 'createdBy')::bigint as created_by,
        max(wanted) filter (field = 'updatedBy')::bigint as updated_by,
        max(wanted) filter (field = 'movedBy')::bigint as moved_by
    from history
    inner join cards using (entity, source_id)
    anti join changed using (entity, source_id)
    group by all
)

select * from by_card
