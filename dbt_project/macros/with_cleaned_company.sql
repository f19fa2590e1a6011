{#- What both shops' clerks type about a company, cleaned the same way.

    relation: columns company_name, inn, kpp, ogrn, legal_address, bank_name, bik, account, corr_account, all as typed.
    Returns a subquery of the same columns cleaned, the typed ones beside them as `*_raw`, and `is_inn_padded`,
    `kpp_in_inn` (the KPP of an "INN/KPP" field). Cleaning takes labels, spaces and separators away; whether a number
    is right is judged in int_companies__validated. -#}
{% macro with_cleaned_company(relation) -%}
    {%- set typed = ['company_name', 'inn', 'kpp', 'ogrn', 'legal_address', 'bank_name', 'bik', 'account', 'corr_account'] -%}
    (
        select * exclude (inn_typed, inn_digits) replace (
            {{ inn_padded('inn_digits') }} as inn,
            coalesce(
                nullif({{ kpp_typed('kpp') }}, ''),
                nullif(regexp_extract(inn_typed, '[^0-9A-Z]([0-9]{4}[0-9A-Z]{2}[0-9]{3})$', 1), '')
            ) as kpp,
            nullif({{ digits_only('ogrn') }}, '') as ogrn,
            -- 04 opens almost every BIK, and a spreadsheet drops its zero
            case when regexp_full_match(bik, '4[0-9]{7}') then '0' || bik else nullif(bik, '') end as bik,
            nullif({{ digits_only('account') }}, '') as account,
            nullif({{ digits_only('corr_account') }}, '') as corr_account
        ),
        coalesce({{ inn_padded('inn_digits') }} <> inn_digits, false) as is_inn_padded
        from (
            select * replace ({{ digits_only('bik') }} as bik), nullif({{ inn_digits('inn_typed') }}, '') as inn_digits
            from (
                select *, {% for column in typed %}{{ column }} as {{ column }}_raw, {% endfor %}{{ inn_typed('inn') }} as inn_typed
                from {{ relation }}
            )
        )
    )
{%- endmacro %}

{#- Latin capitals are legal in a KPP; Cyrillic ones are their look-alikes. -#}
{% macro kpp_typed(column) -%}
    translate(regexp_replace(upper({{ column }}), '[\p{Z}\p{C}.\-]|КПП|KPP', '', 'g'), 'АВЕКМНОРСТХ', 'ABEKMHOPCTX')
{%- endmacro %}
