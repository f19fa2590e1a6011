{#- True for a ten-digit national number that Russia or Kazakhstan has: fixed-line and service codes of the Russian
    plan, any Russian mobile number (9xx), Kazakhstan's mobile codes, and any number of its geographic codes 71x and
    72x. -#}
{% macro phone_is_in_plan_of_7(national) -%}
    {%- set of_3 -%} 3(?:0[12]|36|4[1-35-79]|5[1-3]|65|8[1-58]|9[0145]) {%- endset -%}
    {%- set of_4 -%} 4(?:01|1[1356]|2[13467]|7[1-5]|8[1-7]|9[1-689]) {%- endset -%}
    {%- set of_8 -%} 8(?:0[03489]|1[1-8]|2[01]|3[13-6]|4[0-8]|5[15-7]|6[0-35-79]|7[1-37-9]) {%- endset -%}
    {%- set of_7 -%} 7(?:0[0-25-8]|47|51|6[0-4]|7[15-8]|85|[12]\d) {%- endset -%}
    case
        when {{ national }}[1] = '9' and length({{ national }}) = 10 then true
        else regexp_full_match({{ national }}, '(?:{{ of_3 }}|{{ of_4 }}|{{ of_8 }}|{{ of_7 }})\d{7}')
    end
{%- endmacro %}
