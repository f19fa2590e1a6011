{#- Whether this run built every model and seed, of the move or of all else, and every data test of those passed: in this
    run, or, for the selector after_registry, in the pass before_registry that came right before it. Counted, not believed: of `dbt run`, `--select`,
    `--exclude`, `--empty` and a retry something is always missing. -#}
{% macro built_and_tested_all(results) %}
    {%- set seen = namespace(done=[], missing=0) %}
    {%- set is_move = dbt_step() == 'dbt transfer' %}
    {%- for result in results if result.status in ['success', 'pass', 'warn'] %}
        {%- do seen.done.append(result.node.unique_id) %}
    {%- endfor %}
    {%- for node in graph.nodes.values()
        if node.resource_type in ['model', 'seed', 'test'] and is_of_the_move(node) == is_move %}
        {%- if node.unique_id not in seen.done %}{% set seen.missing = seen.missing + 1 %}{% endif %}
    {%- endfor %}
    {%- if flags.WHICH != 'build' or dbt_step() == 'dbt selected'
        or invocation_args_dict.get('empty') or invocation_args_dict.get('sample') %}
        {%- do return(false) %}
    {%- elif dbt_step() == 'dbt after_registry' and seen.missing %}
        {%- set before = run_query(
            "select (detail ->> '$.models')::int + (detail ->> '$.tests')::int from (
                select * from ops.steps
                where (step = 'dbt' or step like 'dbt %') and (step, status) <> ('dbt after_registry', 'running')
                order by started_at desc limit 1
            ) where step = 'dbt before_registry' and status = 'done'"
        ) %}
        {%- do return(before.rows | length == 1 and before.rows[0][0] == seen.missing) %}
    {%- endif %}
    {%- do return(not seen.missing) %}
{% endmacro %}

{#- Whether a node belongs to the move from one portal to another (folder `transfer` of models, seeds and tests): it is
    built by its own selector, and what is published does not wait for it. -#}
{% macro is_of_the_move(node) %}
    {%- do return(node.fqn[1] == 'transfer') %}
{% endmacro %}

{#- Names of the marts that a full pass leaves behind for the publisher: of the move, or of all else. -#}
{% macro mart_names(is_move) %}
    {%- set names = [] %}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and node.schema == 'marts' and is_of_the_move(node) == is_move
            and node.config.materialized == 'table' %}
        {%- do names.append(node.name) %}
    {%- endfor %}
    {%- do return(names) %}
{% endmacro %}

{#- ops.mart_stamps: how many rows each mart has, and the sum of their hashes. publish/stamps.py counts the same. -#}
{% macro stamp_marts(marts, step) %}
    {%- for mart in marts %}
    delete from ops.mart_stamps where mart = '{{ mart }}';
    insert into ops.mart_stamps
    select
        '{{ mart }}', count(*), coalesce(sum(hash(mart_row)), 0),
        '{{ svod_run_id() }}', '{{ step }}', {{ journal_now() }}
    from marts.{{ mart }} as mart_row;
    {%- endfor %}
{% endmacro %}
