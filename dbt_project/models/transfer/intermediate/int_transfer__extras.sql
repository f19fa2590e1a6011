-- What only the box has: made there by people, deleted in the cloud since, or a second card of ours, which there must
-- not be.
with records as (
    select
        entity, source_id as box_key,
        case when entity = 'activity' then payload ->> '$.ORIGIN_ID' else payload ->> '$.UF_CRM_SVOD_SOURCE' end
            as mark,
        case when entity in ('requisite', 'bank_detail') then json_merge_patch(payload, json_object(
            'ID', null, 'DATE_CREATE', null, 'DATE_MODIFY', null, 'CREATED_BY_ID', null, 'MODIFY_BY_ID', null
        ))::varchar end as texts
    from {{ ref('stg_portals__records') }}
    where side = 'box' and {{ transfer_is_record('entity') }}
),

identities as (
    select * from {{ ref('int_transfer__identities') }}
),

cloud_host as (
    select host from {{ ref('stg_portals__snapshots') }} where side = 'cloud'
),

deleted as (
    select entity, box_key, action
    from {{ ref('transfer_records') }}
    inner join {{ ref('int_transfer__deletions') }} using (entity, source_id)
),

made_by_us as ( -- what has no mark is told by its texts, which say on what it hangs
    select records.entity, records.texts, min(identities.source_id) as source_id
    from records
    inner join identities on identities.entity = records.entity and identities.box_key = records.box_key
    where records.texts is not null and identities.proof = 'created_by_us'
    group by all
),

comments as (
    select distinct 'comments' as entity, box_key
    from {{ ref('int_transfer__box_comments') }}
    where stands_for = 'of_the_box'
),

unknown as (
    select records.*
    from records
    anti join identities on identities.entity = records.entity and identities.box_key = records.box_key
    where records.entity <> 'comments' or (records.entity, records.box_key) in (select (entity, box_key) from comments)
),

explained as (
    select
        unknown.entity, unknown.box_key,
        case
            when coalesce(doubled.source_id, alike.source_id) is not null
                then 'a second one of: ' || unknown.entity || ' ' || coalesce(doubled.source_id, alike.source_id)
            when deleted.box_key is not null then 'deleted in the cloud'
            else 'only in the box: record ' || unknown.box_key
        end as detail,
        coalesce(doubled.source_id, alike.source_id) is not null as is_doubled,
        coalesce(doubled.source_id, alike.source_id) is null
            and coalesce(deleted.action, 'none') = 'none'
            as is_explained
    from unknown
    left join deleted using (entity, box_key)
    left join identities as doubled
        on doubled.entity = unknown.entity
        and (from cloud_host) || ':' || doubled.source_id = unknown.mark
    left join made_by_us as alike on alike.entity = unknown.entity and alike.texts = unknown.texts
)

select * from explained
