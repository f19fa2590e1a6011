{#- No replacement, control or zero-width character in any of these columns. -#}
{% test clean_text(model, columns) %}
select * from {{ model }} where regexp_matches(concat_ws(' ', {{ columns | join(', ') }}), '[\p{C}\x{FFFD}]')
{% endtest %}
