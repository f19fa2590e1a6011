{#- Body of a recursive CTE that must be named `components(record_key, component) using key (record_key)`, for it reads
    itself by that name. Of edges with left_key and right_key it makes one row per record of any edge and `component`,
    the least record key that can be reached from it. Each step keeps one row per record, so a component costs its edges
    times its diameter, never its pairs. The left join and the comparison after grouping keep the planner from comparing
    all records of a step with all others. -#}
{% macro connected_components(edges) -%}
    select record_key, record_key as component
    from (select left_key as record_key from {{ edges }} union select right_key from {{ edges }})
    union all
    select neighbours.record_key, min(components.component)
    from components
    inner join (
        select left_key as from_key, right_key as record_key from {{ edges }}
        union all
        select right_key, left_key from {{ edges }}
    ) as neighbours on neighbours.from_key = components.record_key
    left join recurring.components as reached on reached.record_key = neighbours.record_key
    group by neighbours.record_key
    having min(components.component) < any_value(reached.component)
{%- endmacro %}
