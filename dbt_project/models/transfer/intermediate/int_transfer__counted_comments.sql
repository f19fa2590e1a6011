-- Comments of both portals one by one; those that activities became count as activities. Apart are the box's own, and
-- those that the box lacks for a reason: their card does not move, or somebody deleted them there. So are those of the
-- box whose original the cloud has deleted or changed since: they stay, and what was changed stands there anew.
with box_comments as (
    select * from {{ ref('int_transfer__box_comments') }}
    where stands_for in ('comment', 'of_the_box') and {{ transfer_is_chosen("'comments'") }}
),

lines as (
    select source_id as owner_key, unnest((payload -> '$.parts')::json[]) ->> '$.ID' as comment_id
    from {{ ref('stg_portals__records') }}
    where side = 'cloud' and entity = 'comments' and {{ transfer_is_chosen('entity') }}
),

cards as (
    select source_id as owner_key, is_explained from {{ ref('transfer_differences') }}
    where entity = 'comments'
),

counted as (
    select
        'box' as side,
        stands_for = 'of_the_box'
        or source_id not in (select comment_id from lines)
        or row_number() over (partition by source_id order by comment_id::bigint desc) > 1 as is_apart
    from box_comments
    union all
    select
        'cloud' as side,
        is_explained and comment_id not in (
            select source_id from box_comments
            where source_id is not null
        ) as is_apart
    from lines
    left join cards using (owner_key)
)

select * from counted
