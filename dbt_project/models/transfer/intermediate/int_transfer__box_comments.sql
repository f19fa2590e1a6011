-- Comments of the box one by one, and what each is: a comment of the cloud by the restore or by the move, an activity
-- of an application that became a comment, a file of an activity, names of users who have no counterpart, or the box's
-- own.
with lines as (
    select side, source_id as owner_key, unnest((payload -> '$.parts')::json[]) as line
    from {{ ref('stg_portals__records') }}
    where side in ('cloud', 'box') and entity = 'comments'
),

comments as (
    select
        side, owner_key,
        line ->> '$.ID' as comment_id,
        try_cast(line ->> '$.CREATED' as timestamptz) as created_at
    from lines
),

restored as (
    select identities.box_key, comments.comment_id, comments.created_at
    from comments
    inner join {{ ref('int_transfer__identities') }} as identities
        on identities.entity = 'comments' and identities.source_id = comments.owner_key
    where comments.side = 'cloud'
),

moved as (
    select entity, source_id, target_id as comment_id from {{ ref('stg_transfer__id_map') }}
    where entity in ('comment', 'activity_comment', 'activity_file', 'names')
),

told_apart as (
    select
        comments.owner_key as box_key, comments.comment_id,
        case
            when moved.entity = 'activity_comment' then 'activity'
            when moved.entity in ('activity_file', 'names') then moved.entity
            when moved.entity = 'comment' or restored.comment_id is not null then 'comment'
            else 'of_the_box'
        end as stands_for,
        coalesce(moved.source_id, restored.comment_id) as source_id
    from comments
    left join restored
        on restored.box_key = comments.owner_key
        and restored.comment_id = comments.comment_id and restored.created_at = comments.created_at
    left join moved on moved.comment_id = comments.comment_id
    where comments.side = 'box'
)

select * from told_apart
