-- The fields that are not just values: those of the seed, and custom fields by their type.
with seed as (
    select
        unnest(string_split(entities, ' ')) as entity,
        field, kind, sent, is_compared, reason
    from {{ ref('transfer_fields') }}
),

custom as (
    select
        side, lower(replace(payload ->> '$.ENTITY_ID', 'CRM_', '')) as entity, payload ->> '$.FIELD_NAME' as field,
        payload ->> '$.USER_TYPE_ID' as type_id, payload -> '$.SETTINGS' as settings,
        'enum:' || (payload ->> '$.ENTITY_ID') || '.' || (payload ->> '$.FIELD_NAME') as list_kind
    from {{ ref('stg_portals__records') }}
    where entity = 'user_field'
),

kinds as (
    select
        cloud.entity, cloud.field,
        case cloud.type_id
            when 'enumeration' then cloud.list_kind
            when 'employee' then 'user'
            when 'crm_status' then 'status:' || coalesce(cloud.settings ->> '$.ENTITY_TYPE', '')
            -- with several kinds allowed a value names its own: CO_15
            when 'crm' then case when len(allowed) = 1 then lower(allowed[1]) else 'crm' end
            when 'file' then 'file'
            else 'value'
        end as kind,
        case
            when box.field is null then 'the box has no such field'
            when cloud.type_id in ('iblock_section', 'iblock_element', 'hlblock') then 'lists are not moved'
        end as reason,
        box.field is not null and cloud.type_id = box.type_id as is_in_box
    from (
        select
            *,
            list_filter(
                ['LEAD', 'DEAL', 'CONTACT', 'COMPANY'],
                lambda card: json_extract_string(settings, '$.' || card) = 'Y'
            ) as allowed
        from custom
    ) as cloud
    left join custom as box on box.side = 'box' and box.entity = cloud.entity and box.field = cloud.field
    where cloud.side = 'cloud'
),

known as (
    select *, true as is_in_box from seed
    union all by name
    select
        entity, field, kind,
        case when reason is null then 'always' else 'never' end as sent,
        reason is null as is_compared,
        reason, is_in_box
    from kinds
    anti join seed using (entity, field)
)

select * from known
