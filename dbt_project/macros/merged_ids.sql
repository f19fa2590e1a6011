{#- (the memory of ids, its id column) -> CTEs `fates` and `survivors`: each id that was merged away and the one that lives on, also where an id
    was merged into one that was merged later. For a `with recursive`. -#}
{% macro merged_ids(identities, id) -%}
fates as (
    select {{ id }}, merged_into from {{ identities }} where merged_into is not null
    union
    select fates.{{ id }}, later.merged_into
    from fates
    inner join {{ identities }} as later on later.{{ id }} = fates.merged_into
    where later.merged_into is not null
),

survivors as (
    select fates.{{ id }}, fates.merged_into
    from fates
    inner join {{ identities }} as identities on identities.{{ id }} = fates.merged_into
    where identities.merged_into is null
)
{%- endmacro %}
