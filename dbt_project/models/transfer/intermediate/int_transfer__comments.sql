-- The comments of each card of the cloud that are not there by the restore, and how many of these the box lacks. REST
-- writes comments of now and of nobody: ours begin with the time and the author, and transfer.id_map knows them. One
-- that was restored and deleted in the box since stays deleted; one that the cloud has changed since is sent anew, one
-- of ours unless people of the box wrote into it. One of ours without a file that it has in the cloud lacks that.
{%- set told = transfer_told('of_the_box.comment_text') %}
{%- set of_the_cloud = transfer_trimmed('to_move.comment_text') %}
with records as (select * from {{ ref('stg_portals__records') }} where entity = 'comments'),

identities as (select * from {{ ref('int_transfer__identities') }} where entity = 'comments'),

lines as (
    select side, source_id as owner_key, unnest((payload -> '$.parts')::json[]) as line
    from records
),

comments as (
    select
        side, owner_key,
        line ->> '$.ID' as comment_id,
        line ->> '$.AUTHOR_ID' as author_id,
        line ->> '$.COMMENT' as comment_text,
        line ->> '$.CREATED' as created_text,
        try_cast(line ->> '$.CREATED' as timestamptz) as created_at,
        case when json_type(line, '$.FILES') = 'OBJECT' then json_keys(line, '$.FILES') else [] end as file_ids
    from lines
),

files as (
    select side, source_id as comment_id, file_id, sha256 from {{ ref('stg_transfer__files') }}
    where entity = 'comment' and sha256 is not null
),

contents as ( -- files of these comments, as far as they could be read
    select comment_id, to_json(list(json_object('file', ['comment', file_id]) order by file_id)) as files
    from files
    where side = 'cloud'
    group by all
),

of_the_cloud as (
    select comments.* exclude (file_ids), contents.files, coalesce(user_name, 'user ' || author_id) as author_name
    from comments
    left join {{ ref('int_transfer__users') }} as authors on authors.user_id = comments.author_id
    left join contents on contents.comment_id = comments.comment_id and len(comments.file_ids) > 0
    where side = 'cloud'
),

of_the_box as (
    select
        comments.side, identities.source_id as owner_key,
        comments.comment_id, comments.created_at, comments.comment_text
    from comments
    inner join identities on identities.box_key = comments.owner_key
    where comments.side in ('box', 'baseline')
),

moved as (select source_id as comment_id, target_id from {{ ref('stg_transfer__id_map') }} where entity = 'comment'),

without_files as ( -- what the box has of them, by the restore or by the move, lacks a content
    select distinct of_cloud.comment_id, true as lacks_files
    from files as of_cloud
    left join moved on moved.comment_id = of_cloud.comment_id
    inner join comments as there
        on there.side = 'box' and there.comment_id = coalesce(moved.target_id, of_cloud.comment_id)
    left join files as in_box
        on in_box.side = 'box' and in_box.comment_id = coalesce(moved.target_id, of_cloud.comment_id)
        and in_box.sha256 = of_cloud.sha256
    where of_cloud.side = 'cloud' and in_box.sha256 is null
),

to_move as (
    select of_the_cloud.*, coalesce(lacks_files, false) as lacks_files
    from of_the_cloud
    left join without_files using (comment_id)
    left join of_the_box as restored using (owner_key, comment_id, created_at, comment_text)
    where restored.comment_id is null or lacks_files
    group by all
),

checked as ( -- one of ours that was deleted in the box stays deleted, too
    select
        to_move.* exclude (lacks_files),
        moved.target_id is null
            or (
                of_the_box.comment_id is not null
                and (
                    to_move.lacks_files
                    or ({{ told }} <> {{ of_the_cloud }} and list_contains(texts, {{ told }}))
                )
            )
            as is_lacking,
        of_the_box.comment_id is not null and to_move.lacks_files as lacks_files
    from to_move
    left join moved using (comment_id)
    left join {{ ref('int_transfer__comment_texts') }} using (comment_id)
    left join of_the_box
        on of_the_box.side = 'box' and of_the_box.owner_key = to_move.owner_key
        and of_the_box.comment_id = moved.target_id
),

of_each_card as (
    select
        owner_key as source_id,
        count(*) filter (is_lacking) as lacking_count,
        to_json(list(json_object(
            'ID', comment_id, 'CREATED', created_text, 'AUTHOR', author_name, 'COMMENT', comment_text, 'FILES', files,
            'LACKS_FILES', lacks_files
        ) order by comment_id::bigint)) as moved_comments
    from checked
    group by owner_key
),

counted as (
    select cards.owner_key as source_id, coalesce(lacking_count, 0) as lacking_count, moved_comments
    from (select distinct owner_key from of_the_cloud) as cards
    left join of_each_card on of_each_card.source_id = cards.owner_key
)

select * from counted
