-- What leads from a record to another, in both portals, in terms of the cloud (of what only the box has, `box:` and its
-- id there): companies, contacts and leads of cards, both ways where both sides name each other, and what parts hang
-- on. One row a link. An orphan leads to what is not there.
{%- set fields = ['companyId', 'companyIds', 'contactIds', 'leadId'] %}
with records as (
    select * from {{ ref('stg_portals__records') }}
    where side in ('cloud', 'box') and {{ transfer_is_record('entity') }}
),

cards as (
    select side, entity, source_id as record_key, {{ transfer_texts('payload', fields) }} as texts
    from records
    where entity in ('company', 'contact', 'lead', 'deal')
),

named_by_cards as (
    -- a contact has all its companies in a list, the other cards have one
    select side, entity, record_key, 'company' as to_entity,
        unnest(case when entity = 'contact' then from_json(texts[2], '["VARCHAR"]') else [texts[1]] end) as to_key
    from cards
    where entity <> 'company'
    union all
    select side, entity, record_key, 'contact', unnest(from_json(texts[3], '["VARCHAR"]'))
    from cards
    where entity <> 'contact'
    union all
    select side, entity, record_key, 'lead', texts[4]
    from cards
    where entity <> 'lead'
),

named_by_parts as (
    select
        side, entity, source_id as record_key,
        {{ transfer_owner_entity() }} as to_entity,
        {{ transfer_owner_key() }} as to_key
    from records
    where entity in ('requisite', 'bank_detail', 'address', 'activity', 'requisite_link')
),

bound as ( -- activities are bound to several cards
    select
        side, 'activity' as entity, replace(source_id, 'activity:', '') as record_key,
        unnest((payload -> '$.parts')::json[]) as binding
    from {{ ref('stg_portals__records') }}
    where side in ('cloud', 'box') and entity = 'activity_bindings'
),

named_by_bindings as (
    select
        side, entity, record_key,
        {{ transfer_entity_of_type("binding ->> '$.entityTypeId'") }} as to_entity, binding ->> '$.entityId' as to_key
    from bound
),

named as (
    select * from named_by_cards
    union all
    select * from named_by_parts
    union all
    select * from named_by_bindings
),

identities as (
    select * from {{ ref('int_transfer__identities') }}
),

in_terms_of_the_cloud as (
    select
        named.side, named.entity, named.to_entity,
        case when named.side = 'cloud' then named.record_key
            else coalesce(holders.source_id, 'box:' || named.record_key) end as source_id,
        case when named.side = 'cloud' or there.source_id is null then named.to_key
            else coalesce(targets.source_id, 'box:' || named.to_key) end as to_source_id,
        there.source_id is null as is_orphan
    from named
    left join identities as holders
        on named.side = 'box' and holders.entity = named.entity and holders.box_key = named.record_key
    left join identities as targets
        on named.side = 'box' and targets.entity = named.to_entity and targets.box_key = named.to_key
    left join records as there
        on there.side = named.side and there.entity = named.to_entity and there.source_id = named.to_key
    where named.to_key not in ('', '0') and named.to_entity is not null and {{ transfer_is_chosen('named.entity') }}
),

side_by_side as (
    select
        entity, to_entity, source_id, to_source_id,
        bool_or(side = 'cloud') as is_in_cloud,
        bool_or(side = 'box') as is_in_box,
        coalesce(bool_or(is_orphan) filter (side = 'cloud'), false) as is_orphan_in_cloud,
        coalesce(bool_or(is_orphan) filter (side = 'box'), false) as is_orphan_in_box
    from in_terms_of_the_cloud
    group by all
)

select * from side_by_side
