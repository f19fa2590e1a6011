{#- One letter for what a word of a name can be: i initial, p patronymic, o the last word of a Turkic patronymic (оглы,
    кызы), g given name, w another word that could be a name, x none of these. The last two arguments say whether the
    seeds have the word. -#}
{% macro name_word_kind(word, key, is_job_word, is_given_name) -%}
    case
        when regexp_full_match({{ word }}, '[А-ЯЁ]\.?|[а-яё]\.') then 'i'
        when not regexp_full_match({{ word }}, '[А-Яа-яЁё]{2,}(?:[''’-][А-Яа-яЁё]+)*') then 'x'
        when {{ is_job_word }} then 'x'
        when {{ is_given_name }} then 'g'
        when regexp_full_match(
            {{ key }}, '.{2,}(?:ович|евич|овна|евна|ична)|(?:ильи|кузьми|луки|фоми|никити|савви|фаддеи)ч'
        ) then 'p'
        when {{ key }} in ('оглы', 'оглу', 'огли', 'угли', 'улы', 'уулу', 'кызы', 'гызы', 'кизи') then 'o'
        else 'w'
    end
{%- endmacro %}

{#- A name word with a capital at its start and after each hyphen; one typed with capitals inside ("МакКой") stays. -#}
{% macro capitalized(word) -%}
    case
        when regexp_full_match({{ word }}, '[А-ЯЁ][а-яё]+|[А-ЯЁ][а-яё]{1,2}[А-ЯЁ][а-яё]{2,}') then {{ word }}
        else array_to_string(
            list_transform(string_split({{ word }}, '-'), lambda part: upper(part[1]) || lower(part[2:])), '-'
        )
    end
{%- endmacro %}

{#- What a word is compared by: lower case, е for ё. -#}
{% macro word_key(word) -%} replace(lower({{ word }}), 'ё', 'е') {%- endmacro %}
