-- What only the box has: made there by people, deleted in the cloud since, or a second card of ours, which there must
-- not be.
with records as (
    select entity, source_id as box_key, payload ->> '$.UF_CRM_SVOD_SOURCE' as mark
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
            when doubled.source_id is not null
                then 'a second card of: ' || doubled.entity || ' ' || doubled.source_id
            when deleted.box_key is not null then 'deleted in the cloud'
            else 'only in the box: record ' || unknown.box_key
        end as detail,
        doubled.source_id is not null as is_doubled,
        doubled.source_id is null
            -- no method takes these away
            and (coalesce(deleted.action, 'none') <> 'delete' or unknown.entity in ('product_rows', 'comments'))
            as is_explained
    from unknown
    left join deleted using (entity, box_key)
    left join identities as doubled
        on doubled.entity = unknown.entity
        and (from cloud_host) || ':' || doubled.source_id = unknown.mark
)

select * from explained
