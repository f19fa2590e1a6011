-- What the fields of candidates with files say: the same where their content is, or where nobody had to read them the
-- id. One that could not be read is told, and its field is not written a second time.
with elements_shown as (
    select
        *,
        json_type(value) = 'ARRAY' as is_list,
        unnest(case when json_type(value) = 'ARRAY' then value::json[] else [value] end) as shown
    from {{ ref('int_transfer__cells') }}
    where kind = 'file'
),

file_elements as (
    select
        *,
        -- photos and logos are told by the number alone, which leads to no content
        coalesce(shown ->> '$.id', nullif(try_cast(shown ->> '$' as bigint), 0)::varchar) as file_id
    from elements_shown
),

digests as (
    select side, entity, file_id, sha256, problem from {{ ref('stg_transfer__files') }}
),

files_in_box as ( -- by the restore: what the move has sent is read
    select distinct entity, source_id, file_id from file_elements
    anti join (select entity, file_id from digests where side = 'box') as read_files using (entity, file_id)
    where side = 'box'
),

judged_files as (
    select
        file_elements.*,
        digests.sha256,
        file_elements.side in ('cloud', 'past') and digests.sha256 is null and files_in_box.file_id is null as is_lost,
        'file ' || file_elements.file_id || coalesce(' (' || coalesce(
            digests.problem, case when shown ->> '$.id' is null then 'the portal tells no address of it' end
        ) || ')', '') as told
    from file_elements
    left join digests
        on digests.side = case when file_elements.side in ('cloud', 'past') then 'cloud' else 'box' end
        and digests.entity = file_elements.entity and digests.file_id = file_elements.file_id
    left join files_in_box
        on files_in_box.entity = file_elements.entity
        and files_in_box.source_id = file_elements.source_id and files_in_box.file_id = file_elements.file_id
    where file_elements.file_id is not null
),

file_elements_sent as (
    select
        * exclude (value),
        case
            when sha256 is not null then json_object('file', [entity, file_id])
            when not is_lost then json_object('id', try_cast(file_id as bigint))
        end as element
    from judged_files
),

file_values as (
    select
        side, version, entity, source_id, field, any_value(kind) as kind,
        case when bool_or(is_lost) and side = 'cloud' then 'create' else any_value(sent) end as sent,
        any_value(is_compared) as is_compared, any_value(reason) as reason,
        case when any_value(is_list) then to_json(list(element order by file_id) filter (element is not null))
            else any_value(element) end as value,
        string_agg(coalesce(sha256, 'id ' || file_id), ' ' order by coalesce(sha256, 'id ' || file_id)) as canonical,
        []::varchar[] as unresolved,
        coalesce(list(told) filter (is_lost and side = 'cloud'), []) as orphans
    from file_elements_sent
    group by side, version, entity, source_id, field
)

select * from file_values
