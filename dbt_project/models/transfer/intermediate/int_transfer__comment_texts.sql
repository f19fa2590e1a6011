-- What the comments of the cloud that were moved have said until now, one row a comment: the box has one of these as
-- long as its people have not written into it.
with versions as (
    select * from {{ ref('stg_portals__versions') }} where portal = 'cloud' and entity = 'comments'
),

lines as (
    select distinct line ->> '$.ID' as comment_id, {{ transfer_trimmed("line ->> '$.COMMENT'") }} as comment_text
    from (select unnest((payload -> '$.parts')::json[]) as line from versions)
),

texts as (
    select lines.comment_id, list(lines.comment_text) as texts
    from lines
    where lines.comment_id in (select source_id from {{ ref('stg_transfer__id_map') }} where entity = 'comment')
    group by lines.comment_id
)

select * from texts
