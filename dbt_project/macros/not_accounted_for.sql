{#- Source records that are not exactly once staged and exactly once published or rejected. `staged` is a list of (source, relation), `key`
    the column of their source key; `places` are the relations that account for them by (source, source_id). -#}
{% macro not_accounted_for(staged, key, places) -%}
with staged as (
    {% for source, relation in staged -%}
    select '{{ source }}' as source, {{ key }} as source_id, 1 as staged, 0 as accounted from {{ relation }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

accounted as (
    {% for relation in places -%}
    select source, source_id, 0 as staged, 1 as accounted from {{ relation }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select source, source_id, sum(staged) as staged, sum(accounted) as accounted
from (
    from staged
    union all
    from accounted
)
group by source, source_id
having sum(staged) <> 1 or sum(accounted) <> 1
{%- endmacro %}
