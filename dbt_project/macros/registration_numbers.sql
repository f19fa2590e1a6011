{#- OGRN, OGRNIP, KPP, BIK and account numbers: each a rule that is never null. Sources are cited in _macros.yml. #}

{% macro digits_only(column) -%} regexp_replace({{ column }}, '[^0-9]', '', 'g') {%- endmacro %}

{#- A KPP without its label, spaces and separators. Latin capitals are legal in it; Cyrillic ones are their
    look-alikes. -#}
{% macro kpp_without_labels(column) -%}
    {%- set cyrillic, latin = cyrillic_capital_twins(), latin_capital_twins() -%}
    translate(regexp_replace(upper({{ column }}), '[\p{Z}\p{C}.\-]|КПП|KPP', '', 'g'), '{{ cyrillic }}', '{{ latin }}')
{%- endmacro %}

{#- 04 opens almost every BIK, and a spreadsheet drops its zero. -#}
{% macro bik_padded(digits) -%}
    case when regexp_full_match({{ digits }}, '4[0-9]{7}') then '0' || {{ digits }} else {{ digits }} end
{%- endmacro %}

{#- 13 digits of a legal entity (remainder by 11) or 15 of an entrepreneur (by 13); the last digit of the remainder. -#}
{% macro ogrn_is_valid(column) -%}
    coalesce(case
        when regexp_full_match({{ column }}, '[1-9][0-9]{12}')
            then {{ column }}[:12]::bigint % 11 % 10 = {{ column }}[13:]::bigint
        when regexp_full_match({{ column }}, '[1-9][0-9]{14}')
            then {{ column }}[:14]::bigint % 13 % 10 = {{ column }}[15:]::bigint
    end, false)
{%- endmacro %}

{#- Tax office (4 digits), reason of registration (2 digits or Latin capitals), serial number (3 digits). -#}
{% macro kpp_is_well_formed(column) -%}
    coalesce(regexp_full_match({{ column }}, '[0-9]{4}[0-9A-Z]{2}[0-9]{3}') and {{ column }} not like '00%', false)
{%- endmacro %}

{#- Nine digits; the first two say whose bank it is and begin with 0. -#}
{% macro bik_is_well_formed(column) -%}
    coalesce(regexp_full_match({{ column }}, '0[0-9]{8}'), false)
{%- endmacro %}

{#- Control key: digits times 7, 1, 3 in turn over a three-digit prefix and the account end in 0. The prefix of a
    client's account are the last three digits of the BIK; of an account held at the Bank of Russia itself (every
    correspondent account, and clients of its own units, whose BIK ends in 000, 001 or 002) 0 and its digits 5 and
    6. -#}
{% macro account_key_agrees(bik, account, is_correspondent=false) -%}
    {%- set of_central_bank = "('0' || " ~ bik ~ "[5:6] || " ~ account ~ ")" -%}
    {%- set of_bank = "(" ~ bik ~ "[7:9] || " ~ account ~ ")" -%}
    {%- set weights = [7, 1, 3, 7, 1, 3, 7, 1, 3, 7, 1, 3, 7, 1, 3, 7, 1, 3, 7, 1, 3, 7, 1] -%}
    coalesce(case
        when not ({{ bik_is_well_formed(bik) }} and regexp_full_match({{ account }}, '[0-9]{20}')) then false
        {%- if is_correspondent %}
        else ({{ weighted_sum(of_central_bank, weights) }}) % 10 = 0
        {%- else %}
        when {{ bik }}[7:9] in ('000', '001', '002') then ({{ weighted_sum(of_central_bank, weights) }}) % 10 = 0
        else ({{ weighted_sum(of_bank, weights) }}) % 10 = 0
        {%- endif %}
    end, false)
{%- endmacro %}
