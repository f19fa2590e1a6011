{#- Letters that look the same in Latin and in Cyrillic, in two alphabets that go place by place: `translate` turns one
    into the other. Legal forms and KPPs go by the capitals alone; Y and У, like enough to be typed for each other in a
    word, are left out there. -#}
{% macro latin_capital_twins() -%} ABEKMHOPCTX {%- endmacro %}
{% macro cyrillic_capital_twins() -%} АВЕКМНОРСТХ {%- endmacro %}

{% macro latin_small_twins() -%} aeopcyxk {%- endmacro %}
{% macro cyrillic_small_twins() -%} аеорсухк {%- endmacro %}

{% macro latin_twins() -%} {{ latin_capital_twins() }}Y{{ latin_small_twins() }} {%- endmacro %}
{% macro cyrillic_twins() -%} {{ cyrillic_capital_twins() }}У{{ cyrillic_small_twins() }} {%- endmacro %}

{#- A word in capitals, its Latin twins as Cyrillic letters. -#}
{% macro in_cyrillic_capitals(word) -%}
    translate(upper({{ word }}), '{{ latin_capital_twins() }}', '{{ cyrillic_capital_twins() }}')
{%- endmacro %}
