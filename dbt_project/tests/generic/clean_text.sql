{#- No replacement, control or zero-width character. -#}
{% test clean_text(model, column_name) %}
select * from {{ model }} where regexp_matches({{ column_name }}, '[\p{C}\x{FFFD}]')
{% endtest %}
