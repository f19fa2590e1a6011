{#- The first row of each key by `newest_first`, from a table or a materialized CTE. Keys with several rows are few, and only their rows are
    sorted: all of them through one window takes twice as long. -#}
{% macro newest_per_key(relation, keys, newest_first) -%}
    with several as (
        select {{ keys }} from {{ relation }} group by all having count(*) > 1
    )
    select * from {{ relation }} anti join several using ({{ keys }})
    union all
    (
        select * from {{ relation }} semi join several using ({{ keys }})
        qualify row_number() over (partition by {{ keys }} order by {{ newest_first }}) = 1
    )
{%- endmacro %}
