{#- Taxpayer number (INN): how it is entered, and when it is valid. Sources are cited in _macros.yml. #}

{#- Labels, Cyrillic О and З for 0 and 3, Latin O: what stands between an INN as entered and its digits. Null
    when no digit was entered. -#}
{% macro inn_without_labels(column) -%}
    case
        when regexp_full_match({{ column }}, '[0-9]+') then {{ column }}
        when not regexp_matches({{ column }}, '[0-9]') then null
        when {{ inn_is_cut(column) }} then null
        when regexp_full_match({{ column }}, '[0-9]+[.,]0+') then regexp_extract({{ column }}, '^[0-9]+')
        when regexp_full_match({{ column }}, '{{ as_power_of_ten() }}')
            then try_cast(try_cast(replace(trim({{ column }}), ',', '.') as double) as bigint)::varchar
        else nullif(trim(translate(
            regexp_replace(
                regexp_replace(upper({{ column }}), '[\p{Z}\p{C}]+', ' ', 'g'),
                'ОГРНИП|ОГРН|ИНН|INN|КПП|KPP|[:№#=]', ' ', 'g'
            ),
            'ОЗO–—', '030--'
        )), '')
    end
{%- endmacro %}

{#- A number as a spreadsheet shows it where its column is narrow: 7,707083893E+09. -#}
{% macro as_power_of_ten() -%} \s*[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]{1,2}\s* {%- endmacro %}

{#- True where a spreadsheet left fewer digits than the number has: "1,657E+11", or the same read as a JSON number,
    165700000000.0. They are lost for good; zeros in their place would name a stranger, one time in thirty. What begins
    with a zero is no number to a spreadsheet, and has all its digits. Never null. -#}
{% macro inn_is_cut(column) -%}
    coalesce(case
        when regexp_full_match({{ column }}, '{{ as_power_of_ten() }}')
            then length(regexp_replace(regexp_extract({{ column }}, '^[^eE]*'), '[^0-9]', '', 'g'))
                <= regexp_extract({{ column }}, '([0-9]+)\s*$', 1)::integer
        else regexp_full_match({{ column }}, '[1-9][0-9]*0000[.,]0+')
    end, false)
{%- endmacro %}

{#- The digits of the INN itself out of inn_without_labels: before a slash, or before a KPP that follows after a
    space. -#}
{% macro inn_digits(entered) -%}
    {%- set number = "regexp_extract(" ~ entered ~ ", '^[^0-9]*([0-9][0-9 .\\-]*)', 1)" -%}
    {%- set head = "regexp_replace(" ~ number ~ ", '[^0-9]', '', 'g')" -%}
    case
        when regexp_full_match({{ entered }}, '[0-9]+') then {{ entered }}
        when regexp_matches({{ entered }}, '[0-9] +[0-9]{4}[0-9A-Z]{2}[0-9]{3}$')
            and length({{ head }}) in (18, 19, 20, 21)
            then {{ head }}[:-10]
        else {{ head }}
    end
{%- endmacro %}

{#- Nine or eleven digits that become valid with a zero before them lost that zero in a spreadsheet or a JSON
    number. -#}
{% macro inn_padded(digits) -%}
    case
        when length({{ digits }}) in (9, 11) and {{ inn_is_valid("('0' || " ~ digits ~ ")") }} then '0' || {{ digits }}
        else {{ digits }}
    end
{%- endmacro %}

{#- One rule, never null. -#}
{% macro inn_is_valid(column) -%}
    coalesce(case
        when not regexp_full_match({{ column }}, '[0-9]{10}|[0-9]{12}') then false
        when {{ column }} like '00%' then false -- there is no region 00
        when replace({{ column }}, {{ column }}[1], '') = '' then false -- one digit over and over agrees by accident
        when length({{ column }}) = 10
            then {{ inn_digit_agrees(column, 10, [2, 4, 10, 3, 5, 9, 4, 6, 8]) }}
        else {{ inn_digit_agrees(column, 11, [7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) }}
            and {{ inn_digit_agrees(column, 12, [3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) }}
    end, false)
{%- endmacro %}

{% macro inn_digit_agrees(column, place, weights) -%}
    ({{ weighted_sum(column, weights) }}) % 11 % 10 = {{ digit_at(column, place) }}
{%- endmacro %}

{% macro digit_at(column, place) -%} (ascii(array_extract({{ column }}, {{ place }})) - 48) {%- endmacro %}

{#- Sum of digit times weight over the first places of a text of digits. As a product of lists, for `column` may be an
    expression, which would be computed anew for every place. -#}
{% macro weighted_sum(column, weights) -%}
    list_dot_product(string_split({{ column }}[:{{ weights | length }}], '')::float[], {{ weights }}::float[])::integer
{%- endmacro %}
