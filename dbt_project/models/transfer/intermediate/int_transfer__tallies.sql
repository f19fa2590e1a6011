-- What there is on either side, counted: each kind of record as a whole, cards by day of creation, stage, funnel,
-- assignee and source, activities by their type. `apart` are those whose difference is explained.
with records as (
    select side, entity, source_id as record_key, payload ->> '$.TYPE_ID' as type_id
    from {{ ref('stg_portals__records') }}
    where side in ('cloud', 'box') and {{ transfer_is_record('entity') }} and entity <> 'comments'
        and {{ transfer_is_chosen('entity') }}
),

as_comments as ( -- activities that are in the box as comments
    select
        'box' as side, 'activity' as entity, identities.box_key as record_key,
        records.payload ->> '$.TYPE_ID' as type_id
    from {{ ref('int_transfer__identities') }} as identities
    inner join {{ ref('int_transfer__box_comments') }} as comments
        on identities.box_key = 'comment:' || comments.comment_id
    inner join {{ ref('stg_portals__records') }} as records
        on records.side = 'cloud' and records.entity = 'activity' and records.source_id = identities.source_id
    where identities.entity = 'activity' and {{ transfer_is_chosen('identities.entity') }}
),

explained as (
    select differences.*, identities.box_key
    from {{ ref('transfer_differences') }} as differences
    left join {{ ref('int_transfer__identities') }} as identities using (entity, source_id)
    where differences.difference <> 'equal' and differences.is_explained
),

apart as (
    select 'cloud' as side, entity, source_id as record_key from explained
    where source_id is not null
    union all
    select 'box' as side, entity, box_key from explained
    where difference = 'different'
    union all
    select 'box' as side, entity, box_key from {{ ref('int_transfer__extras') }}
    where is_explained
),

all_records as (
    select * from records
    union all
    select * from as_comments
),

everything as (
    select all_records.*, apart.record_key is not null as is_apart
    from all_records
    left join apart using (side, entity, record_key)
),

cards as (
    unpivot (
        select
            side, entity, is_apart,
            created_on::varchar as day, stage, funnel, assignee, source
        from {{ ref('int_transfer__cards') }}
    )
    on day, stage, funnel, assignee, source into name breakdown value group_value
),

comments as ( -- one by one: what they are kept in has one record a card
    select side, is_apart from {{ ref('int_transfer__counted_comments') }}
),

tallied as (
    select side, entity, 'all' as breakdown, '' as group_value, is_apart from everything
    union all
    select side, entity, 'type', coalesce(type_id, ''), is_apart from everything
    where entity = 'activity'
    union all
    select side, entity, breakdown, group_value, is_apart from cards
    union all
    select side, 'comment', 'all', '', is_apart from comments
),

tallies as (
    select
        entity, breakdown, group_value,
        count(*) filter (side = 'cloud') as cloud_count,
        count(*) filter (side = 'box') as box_count,
        count(*) filter (side = 'cloud' and is_apart) as cloud_apart_count,
        count(*) filter (side = 'box' and is_apart) as box_apart_count
    from tallied
    group by all
)

select * from tallies
