{#- A name whose quotation marks are all straight and closed: one that lacks is put where it must have been. Of three, as
    in `"Торговый дом "Ромашка"`, the last one closes two. No word is gained or lost. -#}
{% macro balanced_marks(name) -%}
    case
        when {{ count_of_marks(name) }} % 2 = 0 then {{ name }}
        when {{ count_of_marks(name) }} = 1 and {{ name }} like '%"' then '"' || {{ name }}
        when regexp_matches({{ name }}, '"[^" ][^"]*$') then {{ name }} || '"' -- the last one opens
        else regexp_replace({{ name }}, '"([^"]*)$', '""\1')
    end
{%- endmacro %}

{% macro count_of_marks(name) -%} (length({{ name }}) - length(replace({{ name }}, '"', ''))) {%- endmacro %}

{#- Every kind of quotation mark as the straight one. -#}
{% macro straight_marks(name) -%}
    regexp_replace({{ name }}, '[«»“”„‟‹›″"]|''''|``|,,', '"', 'g')
{%- endmacro %}

{#- True where quotation marks are closed, straight and angled ones by themselves. -#}
{% macro marks_are_balanced(name) -%}
    ({{ count_of_marks(name) }} % 2 = 0
        and length(replace({{ name }}, '«', '')) = length(replace({{ name }}, '»', '')))
{%- endmacro %}

{#- A name of the registry, which keeps its own marks where they are closed. -#}
{% macro with_balanced_marks(name) -%}
    case
        when {{ marks_are_balanced(name) }} then {{ name }}
        else {{ balanced_marks(straight_marks(name)) }}
    end
{%- endmacro %}
