{#- The seed rejection_reasons explains every reason that is given, for that very entity: of the argument, or of the
    model's own column `entity`. -#}
{% test reason_is_in_the_seed(model, column_name, entity=none) %}
with given as (
    select {{ "'" ~ entity ~ "' as entity" if entity else 'entity' }}, {{ column_name }} as reason
    from {{ model }}
    where {{ column_name }} is not null
)

select entity, reason, count(*) as record_count
from given
anti join {{ ref('rejection_reasons') }} using (entity, reason)
group by all
{% endtest %}
