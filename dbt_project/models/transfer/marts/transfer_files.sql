-- Files of the cloud that are not there by the restore, one row each, by their content: in the box (`equal`), lacking
-- there (`missing`), not to be read in one of the portals (`unreadable`), or in a comment that people of the box have
-- deleted (`deleted`). Those that a restore brought along are known by their ids and are not here.
with files as (
    select * from {{ ref('stg_transfer__files') }}
),

identities as (
    select * from {{ ref('int_transfer__identities') }}
),

made as (
    select entity, source_id, target_id from {{ ref('stg_transfer__id_map') }}
    where entity in ('comment', 'activity_file')
),

lines as ( -- comments one by one
    select side, source_id as owner_key, unnest((payload -> '$.parts')::json[]) ->> '$.ID' as comment_id
    from {{ ref('stg_portals__records') }}
    where entity = 'comments'
),

targets as (
    select entity, source_id, entity as box_entity, box_key, false as was_there from identities where is_in_box
    union all -- an activity of an application is a comment
    select entity, source_id, 'comment', replace(box_key, 'comment:', ''), true
    from identities
    where entity = 'activity' and starts_with(box_key, 'comment:')
    union all -- what came after its activity is in a comment of its own
    select 'activity', split_part(source_id, ':', 1), 'comment', target_id, true
    from made
    where entity = 'activity_file'
    union all
    select 'comment', source_id, 'comment', target_id, true from made
    where entity = 'comment'
    union all
    select 'comment', comment_id, 'comment', comment_id as box_key, bool_or(side = 'baseline') from lines
    where side in ('cloud', 'baseline')
    group by comment_id
),

placed as (
    select
        targets.* exclude (was_there),
        was_there and box_entity = 'comment' and box_key not in (
            select comment_id from lines where side = 'box'
        ) as is_deleted
    from targets
),

outcomes as ( -- of comments by the card that they are on
    select entity, source_id, outcome from {{ ref('int_transfer__fates') }}
    where entity <> 'comments'
    union all
    select 'comment', lines.comment_id, fates.outcome
    from lines
    inner join {{ ref('int_transfer__fates') }} as fates
        on fates.entity = 'comments' and fates.source_id = lines.owner_key
    where lines.side = 'cloud'
),

in_the_box as (
    select distinct entity as box_entity, source_id as box_key, sha256, problem from files where side = 'box'
),

compared as (
    select
        files.entity, files.source_id, files.field, files.file_id,
        any_value(files.file_name) as file_name, any_value(files.file_bytes) as file_bytes,
        any_value(files.sha256) as sha256,
        case
            when any_value(files.sha256) is null then 'unreadable'
            when bool_or(in_the_box.sha256 = files.sha256) then 'equal'
            when bool_or(in_the_box.problem is not null) then 'unreadable'
            when bool_or(placed.is_deleted) then 'deleted'
            else 'missing'
        end as difference,
        difference <> 'missing'
        or coalesce(bool_or(
            outcomes.outcome = 'unsupported'
            or (outcomes.outcome = 'box_kept' and (files.entity = 'comment' or placed.box_key is null))
        ), false) as is_explained,
        coalesce(any_value(files.problem), 'in the box: ' || any_value(in_the_box.problem)) as detail
    from files
    left join placed using (entity, source_id)
    left join in_the_box using (box_entity, box_key)
    left join outcomes using (entity, source_id)
    where files.side = 'cloud'
    group by files.entity, files.source_id, files.field, files.file_id
)

select * from compared
