{#- The caller pays nothing: codes 800 to 809 of calling code 7, of a number in E.164. Such a number is made for
    everybody. -#}
{% macro is_toll_free(number) -%} starts_with({{ number }}, '+780') {%- endmacro %}
