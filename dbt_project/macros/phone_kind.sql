{#- What a number in E.164 is: mobile, fixed, toll_free or foreign, by the numbering plan of calling code 7. -#}
{% macro phone_kind(number) -%}
    case
        when {{ number }} is null then null
        when starts_with({{ number }}, '+79') then 'mobile'
        when not starts_with({{ number }}, '+7') then 'foreign'
        when {{ is_toll_free(number) }} then 'toll_free'
        when {{ number }}[3:4] in ('70', '76', '77') or {{ number }}[3:5] in ('747', '785') then 'mobile'
        else 'fixed'
    end
{%- endmacro %}
