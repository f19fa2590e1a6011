{#- The values are INNs with right control digits; nulls pass. -#}
{% test inn_checksum(model, column_name) %}
select * from {{ model }} where {{ column_name }} is not null and not {{ inn_is_valid(column_name) }}
{% endtest %}
