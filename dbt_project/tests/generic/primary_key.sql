{#- Every row has a key, and no two rows have the same: of a column, or of several columns together. -#}
{% test primary_key(model, column_name=none, columns=none) %}
{%- set key = columns or [column_name] %}
select {{ key | join(', ') }}, count(*) as row_count
from {{ model }}
group by all
having count(*) > 1 or {{ key | join(' is null or ') }} is null
{% endtest %}
