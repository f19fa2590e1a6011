{#- The mart has not shrunk or grown by more than SVOD_MART_CHANGE_LIMIT (a share, 0.2 = a fifth) since the last run
    that passed its gates. The first run, and one after a run that left the mart empty, have nothing to be compared with,
    and twenty rows more or less are never a surprise. Nor are those of companies that waited for a verdict then: where
    verdicts come by the thousand a day, a mart may grow as much as if all that waited were active. A period that
    somebody moved is compared as well: it is moved by hand, and the limit is set for that run. -#}
{% test within_change_limit(model) %}
{%- set limit = env_var('SVOD_MART_CHANGE_LIMIT', '') or '0.2' -%}
{%- if not modules.re.fullmatch('[0-9]+([.][0-9]+)?', limit) -%}
    {{ exceptions.raise_compiler_error("SVOD_MART_CHANGE_LIMIT is '" ~ limit ~ "'; a share like 0.2 is expected") }}
{%- endif %}
with last_good as (
    select row_count, coalesce(awaited_growth, 1) * row_count as awaited_row_count, run_id, measured_at, period_start
    from ops.mart_sizes
    where mart = '{{ model.identifier }}'
    order by measured_at desc
    limit 1
),

present as (
    select count(*) as row_count from {{ model }}
)

select
    last_good.row_count as rows_then,
    present.row_count as rows_now,
    last_good.run_id, last_good.measured_at,
    last_good.period_start as period_then,
    {{ period_start() }} as period_now
from present
cross join last_good
where
    last_good.row_count - present.row_count > greatest(20, {{ limit }} * last_good.row_count)
    or (
        last_good.row_count > 0
        and present.row_count - awaited_row_count > greatest(20, {{ limit }} * awaited_row_count)
    )
{% endtest %}
