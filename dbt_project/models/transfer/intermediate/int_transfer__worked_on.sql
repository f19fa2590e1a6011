-- Records of the cloud that people of the box have changed there last: somebody else than the move writes as, and at a
-- moment that neither the cloud nor the restore tells of (an import carries the cloud's time and user along).
with candidates as (
    select * from {{ ref('int_transfer__candidates') }} where is_in_box
),

writers as (
    select user_id from {{ ref('stg_transfer__writers') }}
),

cells as (
    select entity, source_id, side, field, {{ transfer_canonical('value') }} as said
    from {{ ref('int_transfer__cells') }}
    where field in ('updatedTime', 'updatedBy', 'LAST_UPDATED', 'EDITOR_ID', 'DATE_MODIFY', 'MODIFY_BY_ID')
),

changed as (
    select
        candidates.entity, candidates.source_id,
        max(said) filter (field in ('updatedTime', 'LAST_UPDATED', 'DATE_MODIFY')) as changed_at,
        max(said) filter (field in ('updatedBy', 'EDITOR_ID', 'MODIFY_BY_ID')) as changed_by
    from candidates
    inner join cells using (entity, source_id)
    where cells.side = 'box'
    group by all
),

told as (
    select entity, source_id, said as changed_at from cells
    where side <> 'box' and field in ('updatedTime', 'LAST_UPDATED', 'DATE_MODIFY')
),

worked_on as (
    select changed.entity, changed.source_id
    from changed
    anti join told using (entity, source_id, changed_at)
    where exists (from writers) and changed.changed_by not in (select user_id from writers)
)

select * from worked_on
