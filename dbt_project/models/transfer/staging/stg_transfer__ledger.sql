-- What the writer has dealt with in the very portal that is the box now, of the very cloud, a line a record. An
-- activity of an application has two: its own, and that of the comment it became, which has the id.
with lines as (
    select * from {{ source('transfer', 'ledger') }}
    where source_portal in (select host from {{ ref('stg_portals__snapshots') }} where side = 'cloud')
),

of_the_box as (
    select
        case lines.entity when 'activity_comment' then 'activity' else lines.entity end as entity,
        lines.origin_id as source_id, lines.bitrix_id as target_id,
        case when lines.wanted ->> '$.anew' is null then lines.wanted ->> '$.digest' end as digest,
        lines.synced_at >= sides.started_at as is_newer_than_box, lines.is_adopted
    from lines
    inner join {{ ref('stg_portals__snapshots') }} as sides on sides.side = 'box' and sides.host = lines.portal
),

of_each_record as (
    select
        entity, source_id,
        max(target_id) as target_id,
        max(digest) as digest,
        bool_or(is_newer_than_box) as is_newer_than_box,
        bool_or(is_adopted) as is_adopted -- found in the box: what was sent of it is not known
    from of_the_box
    group by all
)

select * from of_each_record
