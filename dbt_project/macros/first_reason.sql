{#- Of the reasons that speak against a record (a list with nulls for those that do not) the one that comes first by the
    seed rejection_reasons; one that the seed lacks keeps a record out all the same. -#}
{% macro first_reason(grounds, precedence) -%}
    case
        when list_count({{ grounds }}) > 0 then coalesce(
            list_filter({{ precedence }}, lambda reason: list_contains({{ grounds }}, reason))[1],
            list_filter({{ grounds }}, lambda reason: reason is not null)[1]
        )
    end
{%- endmacro %}
