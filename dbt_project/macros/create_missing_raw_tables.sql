{#- A source that is not set has landed nothing, not even its table; the models still build, on an empty one. -#}
{% macro create_missing_raw_tables() %}
    {%- if execute and flags.WHICH in ['build', 'run', 'test', 'show', 'seed', 'compile'] %}
    create schema if not exists raw;
    {%- for source in graph.sources.values() %}
    create table if not exists {{ source.schema }}.{{ source.identifier }} (
        payload json, source_key varchar, source_at timestamp, source_position varchar,
        run_id varchar, ingested_at timestamp
    );
    {%- endfor %}
    {%- endif %}
{% endmacro %}
