{#- A source that is not set has landed nothing, not even its table; the models still build, on an empty one. Tables of
    the portals of a move are only made for who builds models of the move. -#}
{% macro create_missing_raw_tables(is_for_the_move=none) %}
    {%- if execute and flags.WHICH in ['build', 'run', 'test', 'show', 'seed', 'compile'] %}
    {%- set envelope = run_query(
        "select sql from duckdb_tables() where schema_name = 'raw' and table_name = 'envelope'"
    ) %}
    {%- set with_the_move = builds_the_move() if is_for_the_move is none else is_for_the_move %}
    {%- for source in graph.sources.values() if source.schema == 'raw' and (not is_of_the_move(source) or with_the_move) %}
    {%- set create_table = 'create table if not exists ' ~ source.schema ~ '.' ~ source.identifier %}
    {{ envelope.columns[0][0] | replace('CREATE TABLE raw.envelope', create_table) }}
    {%- endfor %}
    {%- endif %}
{% endmacro %}

{#- Whether anything of the move is selected: a model, a test, or a unit test, which the graph does not list. -#}
{% macro builds_the_move() %}
    {%- set found = namespace(any=false) %}
    {%- for selected in selected_resources %}
        {%- set node = graph.nodes.get(selected) %}
        {%- if (node and is_of_the_move(node)) or (selected.startswith('unit_test.') and 'transfer' in selected) %}
            {%- set found.any = true %}
        {%- endif %}
    {%- endfor %}
    {%- do return(found.any) %}
{% endmacro %}
