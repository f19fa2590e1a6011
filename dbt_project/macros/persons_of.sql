{#- The persons that documents of shop B list, one row each. #}
{% macro persons_of(documents, is_gone) -%}
    select
        company_uid, unnest(from_json(document -> '$.persons', '["JSON"]')) as person, {{ is_gone }} as is_gone,
        changed_at as document_changed_at, version_number, source_position, run_id, ingested_at
    from {{ documents }}
    where json_type(document, '$.persons') = 'ARRAY'
{%- endmacro %}
