{#- Rows that break a rule, written as a condition on the model's columns. -#}
{% test rule_holds(model, rule) %}
select * from {{ model }} where not coalesce({{ rule }}, false)
{% endtest %}
