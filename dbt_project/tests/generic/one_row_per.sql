{#- No two rows agree in all these columns. -#}
{% test one_row_per(model, columns) %}
select {{ columns | join(', ') }}, count(*) as row_count from {{ model }} group by all having count(*) > 1
{% endtest %}
