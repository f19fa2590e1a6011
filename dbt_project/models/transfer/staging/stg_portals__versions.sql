-- Every version of every record that was landed of the two portals. Lists of parts carry an owner's parts as one
-- record; an owner that lost its parts has a version without a row in the raw table, and none here. `is_current`: the
-- newest complete snapshot has it.
{%- set tables = {
    'lead': 'leads', 'deal': 'deals', 'contact': 'contacts', 'company': 'companies', 'product_rows': 'product_rows',
    'comments': 'comments', 'activity': 'activities', 'activity_bindings': 'activity_bindings',
    'requisite': 'requisites', 'bank_detail': 'bank_details', 'address': 'addresses',
    'requisite_link': 'requisite_links', 'funnel': 'funnels', 'status': 'statuses', 'user_field': 'user_fields',
    'preset': 'requisite_presets', 'currency': 'currencies', 'user': 'users', 'product': 'products'
} %}
with landed as (
    {% for portal in ['cloud', 'box'] -%}
    {% set portal_is_last = loop.last -%}
    {% for entity, table in tables.items() -%}
    select
        '{{ portal }}' as portal, '{{ entity }}' as entity, '{{ table }}' as list, source_key, source_position, payload
    from {{ source('portals', portal ~ '__' ~ table) }}
    {% if not (portal_is_last and loop.last) -%} union all {%- endif %}
    {% endfor -%}
    {% endfor %}
),

versions as (
    select
        landed.portal, landed.entity, landed.source_key as source_id,
        known.digest, landed.payload,
        known.from_snapshot, known.to_snapshot,
        coalesce({{ transfer_was_in('known', 'newest.snapshot_id') }}, false) as is_current
    from landed
    inner join {{ source('ops', 'snapshot_keys') }} as known
        on known.source = landed.portal and known.entity = landed.list and known.source_key = landed.source_key
        and known.from_snapshot = try_cast(landed.source_position as bigint)
    left join {{ ref('stg_portals__snapshots') }} as newest on newest.side = landed.portal
)

select * from versions
