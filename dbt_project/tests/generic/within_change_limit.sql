{#- The mart has not shrunk or grown by more than SVOD_MART_CHANGE_LIMIT (a share, 0.2 = a fifth) since the last run
    that passed its gates. The first run has nothing to be compared with, twenty rows more or less are never a surprise,
    and another SVOD_SINCE makes another mart. -#}
{% test within_change_limit(model) %}
{%- set limit = env_var('SVOD_MART_CHANGE_LIMIT', '') or '0.2' -%}
{%- if not modules.re.fullmatch('[0-9]+([.][0-9]+)?', limit) -%}
    {{ exceptions.raise_compiler_error("SVOD_MART_CHANGE_LIMIT is '" ~ limit ~ "'; a share like 0.2 is expected") }}
{%- endif %}
with last_good as (
    select row_count, run_id, measured_at
    from ops.mart_sizes
    where mart = '{{ model.identifier }}' and period_start = {{ period_start() }}
    order by measured_at desc
    limit 1
),

present as (
    select count(*) as row_count from {{ model }}
)

select last_good.row_count as rows_then, present.row_count as rows_now, last_good.run_id, last_good.measured_at
from present
cross join last_good
where abs(present.row_count - last_good.row_count) > greatest(20, {{ limit }} * last_good.row_count)
{% endtest %}
