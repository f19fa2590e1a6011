{#- The texts of a JSON value: of a list one each, of anything else one, of nothing none. -#}
{% macro transfer_elements(json_value) -%}
    case
        when json_type({{ json_value }}) = 'ARRAY' then from_json({{ json_value }}, '["VARCHAR"]')
        else list_filter([{{ json_value }} ->> '$'], lambda text: text is not null)
    end
{%- endmacro %}

{#- A value in the one form in which two portals agree where they say the same: what is empty is null, a moment is the
    same moment whatever its zone. -#}
{% macro transfer_canonical(json_value) -%}
    case
        when ({{ json_value }} ->> '$') in ('', '[]', '{}') then null
        when regexp_full_match({{ json_value }} ->> '$', '[0-9-]{10}T[0-9:]{8}[+-][0-9]{2}:[0-9]{2}')
            then coalesce(
                (try_cast({{ json_value }} ->> '$' as timestamptz) at time zone 'UTC')::varchar, {{ json_value }} ->> '$'
            )
        else {{ json_value }} ->> '$'
    end
{%- endmacro %}

{#- Kinds of records by the number that the portal gives them. -#}
{% macro transfer_entity_of_type(type_id) -%}
    case {{ type_id }}
        when '1' then 'lead' when '2' then 'deal' when '3' then 'contact' when '4' then 'company' when '8' then 'requisite'
    end
{%- endmacro %}

{#- Whether a webhook may make an activity: meetings, calls and e-mails of the portal's own, not those of applications. -#}
{% macro transfer_activity_can_be_made(payload) -%}
    coalesce((
        {{ payload }} ->> '$.TYPE_ID', coalesce(nullif({{ payload }} ->> '$.PROVIDER_ID', ''), 'own')
    ) in (
        ('1', 'own'), ('1', 'CRM_MEETING'), ('2', 'own'), ('2', 'VOXIMPLANT_CALL'), ('4', 'own'), ('4', 'CRM_EMAIL')
    ), false)
{%- endmacro %}

{#- The kinds of records that a move knows. -#}
{% macro transfer_is_record(entity) -%}
    {{ entity }} in (
        'company', 'requisite', 'bank_detail', 'address', 'contact', 'lead', 'deal', 'product_rows', 'requisite_link',
        'activity', 'comments'
    )
{%- endmacro %}

{#- Whether a kind of record moves: all do, unless SVOD_TRANSFER_ENTITIES names some. -#}
{% macro transfer_is_chosen(entity) -%}
    {%- set names = env_var('SVOD_TRANSFER_ENTITIES', '').replace("'", "''").split(',') | map('trim') | select | list -%}
    {%- if names %}{{ entity }} in ('{{ names | join("', '") }}'){% else %}true{% endif %}
{%- endmacro %}

{#- The texts of a card's fields, in this order, read in one go. -#}
{% macro transfer_texts(payload, fields) -%}
    {{ payload }} ->> [{% for field in fields %}'$.{{ field }}'{% if not loop.last %}, {% endif %}{% endfor %}]
{%- endmacro %}

{#- A text without the blanks around it, with which no portal is to be trusted; never null. -#}
{% macro transfer_trimmed(text) -%}
    coalesce(trim({{ text }}, ' ' || chr(9) || chr(10) || chr(13)), '')
{%- endmacro %}

{#- What a comment of the move says below its first line, which tells the time and the author. -#}
{% macro transfer_told(text) -%}
    {{ transfer_trimmed("substr(" ~ text ~ ", strpos(" ~ text ~ " || chr(10), chr(10)) + 1)") }}
{%- endmacro %}

{#- Whether a version of a record was in a snapshot of its portal. -#}
{% macro transfer_was_in(version, snapshot_id) -%}
    ({{ version }}.from_snapshot <= {{ snapshot_id }}
    and ({{ version }}.to_snapshot is null or {{ version }}.to_snapshot > {{ snapshot_id }}))
{%- endmacro %}

{#- The kind of what a part of a record hangs on, by its payload; a bank detail's is told by no number. -#}
{% macro transfer_owner_entity() -%}
    case when entity = 'bank_detail' then 'requisite'
        else {{ transfer_entity_of_type(
            "coalesce(payload ->> '$.OWNER_TYPE_ID', payload ->> '$.ENTITY_TYPE_ID')"
        ) }} end
{%- endmacro %}

{#- The id of what a part of a record hangs on. -#}
{% macro transfer_owner_key() -%}
    coalesce(payload ->> '$.OWNER_ID', payload ->> '$.ENTITY_ID')
{%- endmacro %}
