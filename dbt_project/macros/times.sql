{#- Times in the warehouse are UTC without zone. #}
{% macro utc_now() -%} (now() at time zone 'UTC') {%- endmacro %}

{#- The present, but after every step before, whatever the clock has been put back to: which run was the last one, and
    what belongs to it, is told by these times (journal.py). -#}
{% macro journal_now() -%}
    (select greatest({{ utc_now() }}, max(started_at) + interval 1 microsecond) from ops.steps)
{%- endmacro %}

{#- Shop A keeps Moscow local time; the zone's own history applies (UTC+3 all year since 26 October 2014). -#}
{% macro utc_from_moscow(text) -%}
    (try_cast({{ text }} as timestamp) at time zone 'Europe/Moscow' at time zone 'UTC')
{%- endmacro %}

{#- Shop B writes ISO 8601 with an offset. A time without one would be read as UTC. One that no calendar has room for (the
    year 20226, "infinity") is none: it would be later than all others for good. -#}
{% macro utc_from_iso(text) -%}
    (case
        when try_cast({{ text }} as timestamptz) between timestamptz '0001-01-02 00:00:00+00' and '9999-12-30 00:00:00+00'
            then try_cast({{ text }} as timestamptz) at time zone 'UTC'
    end)
{%- endmacro %}

{#- The calendar day that a moment is in Moscow, where the managers are: what a date in the CRM means. -#}
{% macro moscow_day(utc) -%}
    ({{ utc }} at time zone 'UTC' at time zone 'Europe/Moscow')::date
{%- endmacro %}

{#- SVOD_SINCE as a date, or where the period of this warehouse began (ops.period, which a new year does not move): what
    did not change since then is not published. -#}
{% macro period_start() -%}
    {%- set since = env_var('SVOD_SINCE', '') -%}
    {%- if since and not is_a_day(since) -%}
        {{ exceptions.raise_compiler_error("SVOD_SINCE is '" ~ since ~ "'; a date like 2025-01-01 is expected") }}
    {%- endif -%}
    {%- set day = "timestamp '" ~ since ~ "'" if since else '(select starts_on::timestamp from ops.period)' -%}
    ({{ day }} at time zone 'Europe/Moscow' at time zone 'UTC')
{%- endmacro %}

{#- Whether a text is a day of the calendar in the form 2025-01-31 and no other: as `Day` in ingest/warehouse/environment.py
    reads it. 30 February comes back as 2 March. -#}
{% macro is_a_day(text) -%}
    {%- if modules.re.fullmatch('(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])', text) -%}
        {%- set first = modules.datetime.date(text[:4] | int, text[5:7] | int, 1) -%}
        {%- set day = first + modules.datetime.timedelta(days=(text[8:] | int) - 1) -%}
        {{- 'yes' if day.isoformat() == text -}}
    {%- endif -%}
{%- endmacro %}
