{#- Descriptions as comments in the warehouse, in one statement. The adapter's own way asks for the columns of each table
    twice and reads the answers to its comments. A column that is described and is not there stops its model. -#}
{% macro duckdb__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- call statement('comments', auto_begin=false) %}{{ comments(relation, model) }}{% endcall %}
{%- endmacro %}

{% macro comments(relation, model) -%}
    {%- if config.persist_relation_docs() and model.description %}
    comment on {{ relation.type }} {{ relation }} is {{ duckdb_escape_comment(model.description) }};
    {%- endif %}
    {%- if config.persist_column_docs() %}
    {%- for column in model.columns.values() if column.description %}
    comment on column {{ relation }}.{{ column.name }} is {{ duckdb_escape_comment(column.description) }};
    {%- endfor %}
    {%- endif %}
{%- endmacro %}
