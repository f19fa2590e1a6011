{#- One @, a local part of dot-separated atoms, a host with a top-level domain (RFC 5321, section 4.1.2, without quoted local parts). -#}
{% macro is_deliverable_email(address) -%}
    regexp_full_match({{ address }}, '[a-z0-9_!#$%&''*+=?^`{}~-]+(?:\.[a-z0-9_!#$%&''*+=?^`{}~-]+)*@(?:[a-z0-9а-яё](?:[a-z0-9а-яё-]*[a-z0-9а-яё])?\.)+(?:[a-z]{2,24}|xn--[a-z0-9-]{2,}|рф|[а-яё]{3,})')
{%- endmacro %}

{#- An address that turns wholly Latin once its Cyrillic twins are read as Latin letters; any other stays as it is. -#}
{% macro latin_if_twins(address) -%}
    case
        when not regexp_matches({{ address }}, '[а-яё]') then {{ address }}
        when regexp_matches(translate({{ address }}, 'аеорсухкмнвт', 'aeopcyxkmhbt'), '[а-яё]') then {{ address }}
        else translate({{ address }}, 'аеорсухкмнвт', 'aeopcyxkmhbt')
    end
{%- endmacro %}
