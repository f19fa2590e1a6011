{#- Times in the warehouse are UTC without zone. #}
{% macro utc_now() -%} (now() at time zone 'UTC') {%- endmacro %}

{#- Shop A keeps Moscow local time; the zone's own history applies (UTC+3 all year since 26 October 2014). -#}
{% macro utc_from_moscow(text) -%}
    (try_cast({{ text }} as timestamp) at time zone 'Europe/Moscow' at time zone 'UTC')
{%- endmacro %}

{#- Shop B writes ISO 8601 with an offset. A time without one would be read as UTC. -#}
{% macro utc_from_iso(text) -%}
    (try_cast({{ text }} as timestamptz) at time zone 'UTC')
{%- endmacro %}

{#- The calendar day that a moment is in Moscow, where the managers are: what a date in the CRM means. -#}
{% macro moscow_day(utc) -%}
    ({{ utc }} at time zone 'UTC' at time zone 'Europe/Moscow')::date
{%- endmacro %}

{#- SVOD_SINCE as a date, or 1 January of the previous year: what did not change since then is not published. -#}
{% macro period_start() -%}
    {%- set since = env_var('SVOD_SINCE', '') or (run_started_at.year - 1) ~ '-01-01' -%}
    {%- if not modules.re.fullmatch('[0-9]{4}-[0-9]{2}-[0-9]{2}.*', since) -%}
        {{ exceptions.raise_compiler_error("SVOD_SINCE is '" ~ since ~ "'; a date like 2025-01-01 is expected") }}
    {%- endif -%}
    (timestamp '{{ since[:10] }}' at time zone 'Europe/Moscow' at time zone 'UTC')
{%- endmacro %}
