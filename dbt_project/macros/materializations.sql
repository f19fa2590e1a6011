{#- A table, a view or a test as one transaction of as few statements as there can be, for a statement costs dbt more than
    it costs DuckDB. The adapter's own way builds beside, renames twice, asks for columns and indexes and drops what was
    there. None of it is needed: whoever reads sees what was there until the commit. -#}
{% materialization table, adapter='duckdb' -%}
    {%- do put_in_place(create_table_as(false, this.incorporate(type='table'), compiled_code)) %}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{%- endmaterialization %}

{% materialization view, adapter='duckdb' -%}
    {%- do put_in_place(create_view_as(this.incorporate(type='view'), compiled_code)) %}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{%- endmaterialization %}

{% macro put_in_place(definition) -%}
    {%- set existing = load_cached_relation(this) %}
    {{ run_hooks(pre_hooks) }}
    {%- call statement('main') -%}
    {%- if existing is not none %}
    drop {{ existing.type }} {{ existing }};
    {%- endif %}
    {{ definition }};
    {{ comments(this.incorporate(type=config.get('materialized')), model) }}
    {%- endcall %}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() %}
{%- endmacro %}

{#- The failing rows become a table where there are any, and that table goes when the test passes. -#}
{% materialization test, adapter='duckdb' -%}
    {%- set kept = load_cached_relation(this) %}
    {%- set failing = this.incorporate(type='table') %}
    {%- set rows = get_limit_subquery_sql(sql, config.get('limit')) %}
    {%- if kept is not none %}{% do keep_rows(failing, rows) %}{% endif %}
    {%- call statement('main', fetch_result=True) -%}
    {{ get_test_sql(
        rows if kept is none else 'select * from ' ~ failing,
        config.get('fail_calc'), config.get('warn_if'), config.get('error_if'), limit=none
    ) }}
    {%- endcall %}
    {%- set is_failing = load_result('main').table.rows[0][0] > 0 %}
    {%- if kept is none and is_failing and should_store_failures() %}
        {%- do keep_rows(failing, rows) %}
    {%- elif kept is not none and not is_failing %}
        {%- do adapter.drop_relation(failing) %}
    {%- endif %}
    {%- do adapter.commit() %}
    {{ return({'relations': [failing] if is_failing else []}) }}
{%- endmaterialization %}

{% macro keep_rows(failing, rows) -%}
    {%- call statement('keep', auto_begin=True) %}create or replace table {{ failing }} as {{ rows }}{% endcall %}
{%- endmacro %}
