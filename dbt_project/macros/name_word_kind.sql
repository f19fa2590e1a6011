{#- One letter for what a word of a name can be: i initial, p patronymic, o the last word of a Turkic patronymic (оглы, кызы), g given name,
    w another word that could be a name, x none of these. `given` is the word's row in given_names, or null. -#}
{% macro name_word_kind(word, key, given) -%}
    case
        when regexp_full_match({{ word }}, '[А-ЯЁ]\.?|[а-яё]\.') then 'i'
        when not regexp_full_match({{ word }}, '[А-Яа-яЁё]{2,}(?:[''’-][А-Яа-яЁё]+)*') then 'x'
        when regexp_full_match({{ key }}, 'отдела?|бухгалтер(?:ия|ии)?|главбух|склада?|директора?|менеджер|секретарь|приемная|офис|снабжени[ея]|снабженец|закуп(?:ки|ок|щик)|кадры|охрана|логист(?:ика)?|водитель|курьер|касса|магазин|сервис|тел|факс|проходная|прораб|инженер|завхоз|дежурный|диспетчер|начальник|зам|заместитель|главный|контакт|клиент|покупатель|заказы?|тест|нет|ооо|ип|зао|оао|пао|ао|фирма|компания|по|для|от|на') then 'x'
        when {{ given }} is not null then 'g'
        when regexp_full_match({{ key }}, '.{2,}(?:ович|евич|овна|евна|ична)|(?:ильи|кузьми|луки|фоми|никити|савви|фаддеи)ч') then 'p'
        when {{ key }} in ('оглы', 'оглу', 'огли', 'угли', 'улы', 'уулу', 'кызы', 'гызы', 'кизи') then 'o'
        else 'w'
    end
{%- endmacro %}

{#- A name word with a capital at its start and after each hyphen; one typed with capitals inside ("МакКой") stays. -#}
{% macro capitalized(word) -%}
    case
        when regexp_full_match({{ word }}, '[А-ЯЁ][а-яё]+|[А-ЯЁ][а-яё]{1,2}[А-ЯЁ][а-яё]{2,}') then {{ word }}
        else array_to_string(list_transform(string_split({{ word }}, '-'), lambda part: upper(part[1]) || lower(part[2:])), '-')
    end
{%- endmacro %}

{#- What a word is compared by: lower case, е for ё. -#}
{% macro word_key(word) -%} replace(lower({{ word }}), 'ё', 'е') {%- endmacro %}
