{#- ops.steps for dbt: what was built, how it ended, which gates stopped it. `failed` = a model broke, `gated` = a
    data test of severity error did not pass; publish refuses after either, and knows the steps by the names that
    `dbt_step` makes (ingest/warehouse/journal.py). A full pass measures and stamps the marts (stamp_marts.sql): that is
    what may be published. The tables are in ingest/warehouse/schema.sql. Runs of the pipeline, which execute what dbt
    compiled, journal the same: publish/models/building.py. #}
{% macro dbt_step() -%}
    {%- if invocation_args_dict.get('selector') -%} dbt {{ invocation_args_dict.selector }}
    {%- elif invocation_args_dict.get('select') or invocation_args_dict.get('exclude') -%} dbt selected
    {%- else -%} dbt
    {%- endif -%}
{%- endmacro %}

{% macro svod_run_id() -%} {{ env_var('SVOD_RUN_ID', invocation_id) or invocation_id }} {%- endmacro %}

{% macro journal_run_start() %}
    {%- if execute and flags.WHICH in ['build', 'run'] %}
    -- A step that is still `running` was killed: DuckDB lets in one writer, so its process is gone.
    update ops.steps
    set status = 'failed', finished_at = {{ journal_now() }},
        detail = json_merge_patch(coalesce(detail, '{}'), '{"error": "killed before it ended"}')
    where step = '{{ dbt_step() }}' and status = 'running';
    insert into ops.steps (run_id, step, started_at, status)
    values ('{{ svod_run_id() }}', '{{ dbt_step() }}', {{ journal_now() }}, 'running');
    {%- endif %}
{% endmacro %}

{% macro journal_run_end(results) %}
    {%- if execute and flags.WHICH in ['build', 'run'] %}
    {%- set seen = namespace(models=0, tests=0, broken=[], gates=[], warnings=[]) %}
    {%- for result in results %}
        {%- set name, is_test = result.node.name, result.node.resource_type in ['test', 'unit_test'] %}
        {%- if is_test %}{% set seen.tests = seen.tests + 1 %}
        {%- else %}{% set seen.models = seen.models + 1 %}
        {%- endif %}
        {%- if result.status == 'fail' %}{% do seen.gates.append({'test': name, 'rows': result.failures}) %}
        {%- elif result.status == 'warn' %}{% do seen.warnings.append({'test': name, 'rows': result.failures}) %}
        {%- elif result.status in ['error', 'runtime error'] %}{% do seen.broken.append(name) %}
        {%- endif %}
    {%- endfor %}
    {%- set is_full_pass = not seen.broken and not seen.gates and built_and_tested_all(results) %}
    {%- set status = 'failed' if seen.broken else 'gated' if seen.gates else 'done' %}
    {#- `print`, for dbt's --quiet lets nothing else through. #}
    {%- do print(dbt_step() ~ ': ' ~ seen.models ~ ' models and seeds, ' ~ seen.tests ~ ' tests, ' ~ status) %}
    {%- if seen.warnings %}
    {%- set counts = [] %}
    {%- for warning in seen.warnings %}{% do counts.append(warning.test ~ ' ' ~ warning.rows) %}{% endfor %}
    {%- do print('  dirty sources, for their owners: ' ~ counts | join(', ')
        ~ '; the rows: `make inspect`, then from failures.' ~ seen.warnings[0].test) %}
    {%- endif %}
    {%- set detail = {
        'command': flags.WHICH, 'is_full_pass': is_full_pass, 'models': seen.models, 'tests': seen.tests,
        'broken': seen.broken, 'gates': seen.gates, 'warnings': seen.warnings,
    } %}
    update ops.steps
    set status = '{{ status }}', finished_at = {{ journal_now() }}, detail = '{{ tojson(detail) | replace("'", "''") }}'
    where run_id = '{{ svod_run_id() }}' and step = '{{ dbt_step() }}' and status = 'running';
    {%- if is_full_pass %}{{ end_of_pass(dbt_step()) }}{% endif %}
    {%- endif %}
{% endmacro %}

{#- What a full pass leaves behind for the publisher and for the next pass: the sizes of the marts and their stamps. -#}
{% macro end_of_pass(step) %}
    {%- set marts = mart_names(step == 'dbt transfer') %}
    {%- for mart in marts if step != 'dbt transfer' %}
    insert into ops.mart_sizes (mart, row_count, awaited_growth, period_start, run_id, measured_at)
    select
        '{{ mart }}', count(*), {{ awaited_growth() }}, {{ period_start() }}, '{{ svod_run_id() }}', {{ journal_now() }}
    from marts.{{ mart }};
    {%- endfor %}
    {{ stamp_marts(marts, step) }}
    {%- if step != 'dbt transfer' %}{{ remember_dirty_fields() }}{% endif %}
{% endmacro %}

{#- How many times the companies of now there would be, if all that wait for a verdict of the registry were active. -#}
{% macro awaited_growth() -%}
    (
        select 1 + (select count(*) from marts.rejected_companies where reason = 'awaiting_verdict') / greatest(count(*), 1)
        from marts.crm_companies
    )
{%- endmacro %}

{#- ops.dirty_fields: one row per day, shop and field; of a day the last full pass counts. -#}
{% macro remember_dirty_fields() %}
    delete from ops.dirty_fields where day = {{ moscow_day(utc_now()) }};
    insert into ops.dirty_fields
    select {{ moscow_day(utc_now()) }}, source, field, filled_count, dirty_count
    from analysis.dirty_fields_by_shop;
{% endmacro %}
