{#- The texts of a JSON array; a lone text, which shop B sends now and then instead of an array, is a list of one. -#}
{% macro json_list(json_or_text) -%}
    case
        when {{ json_or_text }} is null then []
        when {{ json_or_text }} like '[%'
            then coalesce(try(from_json({{ json_or_text }}, '["VARCHAR"]')), [{{ json_or_text }}])
        else [{{ json_or_text }}]
    end
{%- endmacro %}
