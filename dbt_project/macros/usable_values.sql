{#- The values of one field of a list of phones or e-mails, sorted, each once, without those that are null. -#}
{% macro usable_values(list, field) -%}
    case
        when len({{ list }}) = 1 and {{ list }}[1].{{ field }} is not null then [{{ list }}[1].{{ field }}] -- as most are: quicker
        else list_sort(list_distinct(list_transform({{ list }}, lambda one: one.{{ field }}))) -- list_distinct drops nulls
    end
{%- endmacro %}
