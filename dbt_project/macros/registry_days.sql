{#- A day that can be one of the registry's, or null: answers have had dates of the year 292277, which break a table. -#}
{% macro day_in_range(day) -%}
    (case when {{ day }} between date '1900-01-01' and date '2200-12-31' then {{ day }} end)
{%- endmacro %}

{#- The day of milliseconds since the epoch that are given as text; null for what is none, or out of range. -#}
{% macro day_of_milliseconds(text) -%}
    (case
        when try_cast({{ text }} as bigint) between -2208988800000 and 7289654399999 -- 1900 to 2200
            then make_timestamp_ms(try_cast({{ text }} as bigint))::date
    end)
{%- endmacro %}
