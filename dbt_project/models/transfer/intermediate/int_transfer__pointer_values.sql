-- What the fields of candidates that point to something say, one thing or several, in terms of the box: translated on
-- the cloud's side; `unresolved` is what has nothing in the box to stand for it, `orphans` what is not in the cloud
-- either.
with refs as (
    select * from {{ ref('int_transfer__references') }}
),

pointers as (
    select
        * exclude (value),
        json_type(value) = 'ARRAY' as is_list,
        unnest(case when json_type(value) = 'ARRAY' then value::json[] else [value] end) as element,
        generate_subscripts(case when json_type(value) = 'ARRAY' then value::json[] else [value] end, 1) as place
    from {{ ref('int_transfer__cells') }}
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
)

select * from pointer_values
