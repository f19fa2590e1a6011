{#- A table as one transaction of one statement. The adapter's own way builds it beside, renames it twice, asks for its
    columns and indexes and drops what it was, and a statement costs dbt more than it costs DuckDB. None of it is needed:
    whoever reads sees the old table until the commit. -#}
{% materialization table, adapter='duckdb' -%}
    {%- set existing = load_cached_relation(this) %}
    {%- set target = this.incorporate(type='table') %}
    {{ run_hooks(pre_hooks) }}
    {%- call statement('main') -%}
    {%- if existing is not none %}
    drop {{ existing.type }} {{ existing }};
    {%- endif %}
    {{ create_table_as(false, target, compiled_code) }};
    {{ comments(target, model) }}
    {%- endcall %}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() %}
    {{ return({'relations': [target]}) }}
{%- endmaterialization %}
