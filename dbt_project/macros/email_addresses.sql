{#- One @, a local part of dot-separated atoms, a host with a top-level domain (RFC 5321, section 4.1.2, without quoted
    local parts). -#}
{% macro is_deliverable_email(address) -%}
    {%- set atom -%} [a-z0-9_!#$%&''*+=?^`{}~-]+ {%- endset -%}
    {%- set label -%} [a-z0-9а-яё](?:[a-z0-9а-яё-]*[a-z0-9а-яё])? {%- endset -%}
    {%- set top_level -%} [a-z]{2,24}|xn--[a-z0-9-]{2,}|рф|[а-яё]{3,} {%- endset -%}
    regexp_full_match({{ address }}, '{{ atom }}(?:\.{{ atom }})*@(?:{{ label }}\.)+(?:{{ top_level }})')
{%- endmacro %}

{#- An address that turns wholly Latin once its Cyrillic twins are read as Latin letters; any other stays as it is. -#}
{% macro latin_if_twins(address) -%}
    {%- set cyrillic, latin = cyrillic_small_twins() ~ 'мнвт', latin_small_twins() ~ 'mhbt' -%}
    case
        when not regexp_matches({{ address }}, '[а-яё]') then {{ address }}
        when regexp_matches(translate({{ address }}, '{{ cyrillic }}', '{{ latin }}'), '[а-яё]') then {{ address }}
        else translate({{ address }}, '{{ cyrillic }}', '{{ latin }}')
    end
{%- endmacro %}
