-- Every version of every entry of both portals' dictionaries: statuses, stages, funnels, presets of requisites,
-- currencies, values of lists; `is_current` are those of now.
with versions as (
    select * from {{ ref('stg_portals__versions') }}
    where entity in ('funnel', 'status', 'user_field', 'preset', 'currency')
),

-- `place` is an entry's own among those it may be taken for: for a stage, the funnel it belongs to
listed as (
    select
        portal, is_current,
        'funnel' as kind, source_id as entry, null as place,
        payload ->> '$.name' as entry_name, null as xml_id,
        payload ->> '$.isDefault' = 'Y' as is_fixed
    from versions
    where entity = 'funnel'
    union all
    select
        portal, is_current,
        case when payload ->> '$.ENTITY_ID' like 'DEAL\_STAGE%' escape '\' then 'stage'
            else 'status:' || (payload ->> '$.ENTITY_ID') end,
        payload ->> '$.STATUS_ID',
        case when payload ->> '$.ENTITY_ID' like 'DEAL\_STAGE%' escape '\'
            then coalesce(nullif(regexp_extract(payload ->> '$.ENTITY_ID', '^DEAL_STAGE_([0-9]+)$', 1), ''), '0') end,
        payload ->> '$.NAME', null,
        payload ->> '$.SYSTEM' = 'Y'
    from versions
    where entity = 'status'
    union all
    select
        portal, is_current, 'preset', source_id, null,
        payload ->> '$.NAME', nullif(payload ->> '$.XML_ID', ''), false
    from versions
    where entity = 'preset'
    union all
    select
        portal, is_current, 'currency', source_id, null, payload ->> '$.CURRENCY', null, true
    from versions
    where entity = 'currency'
    union all
    select
        portal, is_current,
        'enum:' || (payload ->> '$.ENTITY_ID') || '.' || (payload ->> '$.FIELD_NAME'),
        choice ->> '$.ID', null, choice ->> '$.VALUE', nullif(choice ->> '$.XML_ID', ''), false
    from (
        select *, unnest((payload -> '$.LIST')::json[]) as choice
        from versions
        where entity = 'user_field' and payload ->> '$.USER_TYPE_ID' = 'enumeration'
    )
)

select * from listed
