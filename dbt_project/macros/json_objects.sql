{#- The objects of an array within a document; a lone object that stands where an array was promised is a list of one.
    Anything else there is none: the test `lists_of_shop_b_that_are_none` lists it. -#}
{% macro json_objects(document, name, shape) -%}
    coalesce(
        json_transform({{ document }}, '{"{{ name }}": [{{ shape }}]}').{{ name }},
        case
            when json_type({{ document }}, '$.{{ name }}') = 'OBJECT'
                then [json_transform({{ document }}, '{"{{ name }}": {{ shape }}}').{{ name }}]
        end
    )
{%- endmacro %}
