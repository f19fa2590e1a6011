{#- A sum as entered ("15 320,50"), exact; null where it is no number. -#}
{% macro amount_read(column) -%}
    try_cast(replace(regexp_replace({{ column }}, '[\p{Z}\p{C}]', '', 'g'), ',', '.') as decimal(14, 2))
{%- endmacro %}

{#- ISO 4217 code; roubles unless said otherwise. RUR was their code until 1998. -#}
{% macro currency_read(column) -%}
    case
        when coalesce(upper(trim({{ column }})), '') in ('RUB', 'RUR', '') then 'RUB'
        else upper(trim({{ column }}))
    end
{%- endmacro %}
