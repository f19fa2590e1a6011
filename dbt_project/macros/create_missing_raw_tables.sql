{#- A source that is not set has landed nothing, not even its table; the models still build, on an empty one. -#}
{% macro create_missing_raw_tables() %}
    {%- if execute and flags.WHICH in ['build', 'run', 'test', 'show', 'seed', 'compile'] %}
    {%- set envelope = run_query(
        "select sql from duckdb_tables() where schema_name = 'raw' and table_name = 'envelope'"
    ) %}
    {%- for source in graph.sources.values() %}
    {%- set create_table = 'create table if not exists ' ~ source.schema ~ '.' ~ source.identifier %}
    {{ envelope.columns[0][0] | replace('CREATE TABLE raw.envelope', create_table) }}
    {%- endfor %}
    {%- endif %}
{% endmacro %}
