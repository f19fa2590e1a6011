-- Files of the cloud that are not there by the restore, one row each, by their content: in the box (`equal`), lacking
-- there (`missing`), or not to be read in the cloud (`unreadable`). Those that a restore brought along are known by
-- their ids and are not here.
with files as (
    select * from {{ ref('stg_transfer__files') }}
),

targets as (
    select entity, source_id, box_key from {{ ref('int_transfer__identities') }} where is_in_box
    union all
    select entity, source_id, target_id from {{ ref('stg_transfer__id_map') }} where entity = 'comment'
    union all
    select entity, source_id, source_id as box_key
    from files
    where side = 'cloud' and entity = 'comment'
),

in_the_box as (
    select distinct entity, source_id as box_key, sha256 from files where side = 'box' and sha256 is not null
),

compared as (
    select
        files.entity, files.source_id, files.field, files.file_id,
        any_value(files.file_name) as file_name, any_value(files.file_bytes) as file_bytes,
        any_value(files.sha256) as sha256,
        case
            when any_value(files.sha256) is null then 'unreadable'
            when bool_or(in_the_box.sha256 is not null) then 'equal'
            else 'missing'
        end as difference,
        any_value(files.problem) as detail
    from files
    left join targets using (entity, source_id)
    left join in_the_box using (entity, box_key, sha256)
    where files.side = 'cloud'
    group by files.entity, files.source_id, files.field, files.file_id
)

select * from compared
