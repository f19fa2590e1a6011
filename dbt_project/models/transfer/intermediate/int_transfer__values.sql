-- What each field of a candidate says, in terms of the box: `value` as it is sent, `canonical` as it is compared. What
-- points to something is translated, on the cloud's side; `unresolved` is what has nothing in the box to stand for it,
-- `orphans` what is not there in the cloud either.
with cells as (
    select * from {{ ref('int_transfer__cells') }}
),

refs as (
    select * from {{ ref('int_transfer__references') }}
),

-- ----- values that point to nothing
plain as (
    select * from cells where kind in ('value', 'fm')
),

plain_values as (
    select
        * exclude (value),
        case kind
            when 'fm' then to_json(list_transform(
                value::json[],
                lambda line: json_object(
                    'typeId', line ->> '$.typeId', 'valueType', line ->> '$.valueType', 'value', line ->> '$.value'
                )
            ))
            else value
        end as value
    from plain
),

plain_canonical as (
    select
        side, version, entity, source_id, field, kind, sent, is_compared, reason, value,
        case when kind = 'fm' then nullif(array_to_string(list_sort(value::json[]::varchar[]), ' '), '')
            else {{ transfer_canonical('value') }} end as canonical,
        []::varchar[] as unresolved, []::varchar[] as orphans
    from plain_values
),

-- ----- files: the same where their content is, or where nobody had to read them the id; one that could not be read is
-- told, and its field is not written a second time
file_elements as (
    select
        cells.*,
        json_type(value) = 'ARRAY' as is_list,
        unnest(case when json_type(value) = 'ARRAY' then value::json[] else [value] end) ->> '$.id' as file_id
    from cells
    where kind = 'file'
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
        'file ' || file_elements.file_id || coalesce(' (' || digests.problem || ')', '') as told
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
),

-- ----- rows of goods: a product that is not proven to be one of the box's is left out, on either side
rows_of_goods as (
    select
        * exclude (value),
        unnest(value::json[]) as line,
        generate_subscripts(value::json[], 1) as place
    from cells
    where kind = 'rows'
),

products as (
    select * from {{ ref('int_transfer__products') }}
),

goods_of_the_restore as ( -- the very row has come with the backup, so its product is the same one
    select distinct source_id, line ->> '$.productId' as product_id, line ->> '$.productName' as product_name
    from rows_of_goods
    where side = 'baseline'
),

goods as (
    select
        rows_of_goods.*,
        nullif(line ->> '$.productId', '0') as product_id,
        coalesce(
            case when side in ('cloud', 'past') then of_the_cloud.target_id else of_the_box.target_id end,
            restored.product_id
        ) as target_id
    from rows_of_goods
    left join products as of_the_cloud on of_the_cloud.product_id = line ->> '$.productId'
    left join products as of_the_box on of_the_box.target_id = line ->> '$.productId'
    left join goods_of_the_restore as restored
        on restored.source_id = rows_of_goods.source_id
        and restored.product_id = line ->> '$.productId' and restored.product_name = line ->> '$.productName'
),

row_values as (
    select
        side, version, entity, source_id, field, any_value(kind) as kind,
        any_value(sent) as sent, any_value(is_compared) as is_compared, any_value(reason) as reason,
        -- what may be written of a row; the portal works out the rest
        to_json(list(json_merge_patch('{}'::json, json_object(
            'productId', nullif(try_cast(target_id as bigint), 0), 'productName', line -> '$.productName',
            'price', line -> '$.price', 'quantity', line -> '$.quantity',
            'discountTypeId', line -> '$.discountTypeId', 'discountRate', line -> '$.discountRate',
            'discountSum', line -> '$.discountSum',
            'taxRate', line -> '$.taxRate', 'taxIncluded', line -> '$.taxIncluded',
            'measureCode', line -> '$.measureCode', 'sort', line -> '$.sort'
        )) order by place)) as value,
        []::varchar[] as unresolved,
        coalesce(
            list(distinct 'product ' || product_id || ' (its row goes without it)')
                filter (side = 'cloud' and product_id is not null and target_id is null), []
        ) as orphans
    from goods
    group by side, version, entity, source_id, field
),

-- ----- values that point to something: one or several
pointers as (
    select
        * exclude (value),
        json_type(value) = 'ARRAY' as is_list,
        unnest(case when json_type(value) = 'ARRAY' then value::json[] else [value] end) as element,
        generate_subscripts(case when json_type(value) = 'ARRAY' then value::json[] else [value] end, 1) as place
    from cells
    where kind is null or kind not in ('value', 'file', 'fm', 'rows')
),

addressed as (
    select
        * exclude (kind),
        kind as field_kind,
        coalesce(element ->> '$.ENTITY_ID', element ->> '$.entityId') as object_id,
        coalesce(element ->> '$.ENTITY_TYPE_ID', element ->> '$.entityTypeId') as object_type_id,
        case when kind = 'crm' then regexp_extract(element ->> '$', '^([A-Z]+_)', 1) else '' end as prefix,
        case
            when kind in ('communications', 'bindings') then {{ transfer_entity_of_type('object_type_id') }}
            when kind = 'crm' then case prefix
                when 'L_' then 'lead' when 'D_' then 'deal' when 'C_' then 'contact' when 'CO_' then 'company'
            end
            else kind
        end as kind,
        case when field_kind in ('communications', 'bindings') then object_id
            else substr(element ->> '$', len(prefix) + 1) end as pointed
    from pointers
),

pointing as ( -- 0 is no card and no user, but the default funnel
    select * from addressed
    where pointed is not null and pointed <> '' and (pointed <> '0' or kind = 'funnel')
),

translated as (
    select
        pointing.*,
        side in ('cloud', 'past') as is_of_the_cloud,
        refs.kind is not null as is_known,
        refs.is_resolved, refs.target_value, refs.target_json, refs.proof,
        -- a code that is in no dictionary any more stays as it is; nothing else can be said of it
        pointing.kind in ('stage', 'currency') or pointing.kind like 'status:%' as is_code
    from pointing
    left join refs on refs.kind = pointing.kind and refs.source_value = pointing.pointed
),

targets as (
    select
        *,
        case
            when not is_of_the_cloud or (not is_known and is_code) then prefix || pointed
            when proof = 'to_create' then 'ref:' || kind || ':' || pointed
            else prefix || target_value
        end as target_text,
        case
            when not is_of_the_cloud or (not is_known and is_code) then element
            when prefix = '' then target_json
            when proof = 'to_create' then json_merge_patch(target_json, json_object('prefix', prefix))
            else to_json(prefix || target_value)
        end as id_json
    from translated
),

elements as (
    select
        *,
        case
            when target_text is null then null
            when field_kind = 'communications' then json_object(
                'VALUE', element ->> '$.VALUE', 'ENTITY_TYPE_ID', object_type_id, 'ENTITY_ID', id_json
            )
            when field_kind = 'bindings' then json_object('entityTypeId', object_type_id::bigint, 'entityId', id_json)
            else id_json
        end as target_element
    from targets
),

pointer_values as (
    select
        side, version, entity, source_id, field, any_value(field_kind) as kind,
        any_value(sent) as sent, any_value(is_compared) as is_compared, any_value(reason) as reason,
        case when any_value(is_list)
            then to_json(list(target_element order by place) filter (target_element is not null))
            else any_value(target_element) end as value,
        string_agg(target_text, ' ' order by place) as canonical,
        coalesce(list(kind || ' ' || pointed) filter (is_of_the_cloud and is_known and not is_resolved), [])
            as unresolved,
        coalesce(list(coalesce(kind, 'object') || ' ' || pointed)
            filter (is_of_the_cloud and (not is_known or proof in ('deleted_in_box', 'not_moved'))), []) as orphans
    from elements
    group by side, version, entity, source_id, field
),

everything as (
    select * from plain_canonical
    union all by name
    select * from file_values
    union all by name
    select *, {{ transfer_canonical('value') }} as canonical from row_values
    union all by name
    select * from pointer_values
)

select * from everything
