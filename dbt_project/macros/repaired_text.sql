{#- Text as a right reader would have typed it: the steps of int_texts__repaired, each an expression. A step changes
    only what cannot be right; right text stays byte for byte. #}

{#- A text as entered, or what the dictionary has for it: `repaired` is int_texts__repaired, joined on it. -#}
{% macro text_or_repaired(text_raw, repaired) -%}
    case when {{ repaired }}.text_raw is null then {{ text_raw }} else {{ repaired }}.text end
{%- endmacro %}

{#- Cyrillic letters, digits and common marks, single spaces between words; not the pairs that a wrong reading is known
    by. -#}
{% macro is_plain_russian(column) -%}
    not regexp_matches({{ column }}, '[^А-Яа-яЁё0-9.,()"№/ -]|[РС][Ёё№]|  |^ | $|^$')
{%- endmacro %}

{#- The upper half of Windows-1251, 0x80 to 0xFF in order; 0x98 is empty there and stays U+0098, as MySQL keeps it. -#}
{% macro cp1251_upper_half() -%}
    'ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—' || chr(152) || '™љ›њќћџ' || chr(160)
    || 'ЎўЈ¤Ґ¦§Ё©Є«¬' || chr(173)
    || '®Ї°±Ііґµ¶·ё№є»јЅѕїАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюя'
{%- endmacro %}

{#- Undoes two wrong readings. UTF-8 read as Windows-1251 ("Р РѕРјР°С€РєР°"): the text must be whole Windows-1251, its
    bytes valid UTF-8 of at least two Cyrillic letters, which right Russian text never is. Windows-1251 read as Latin-1
    ("Ðîìàøêà"): no Cyrillic at all, at least four accented letters, some of them side by side, and no word mixing them
    with plain ones, as every European language does. -#}
{% macro rightly_decoded(column) -%}
    {%- set second_byte -%} [Ѐ-ЏѐђѓєѕіїјљњћќўџҐґЁё\x{80}-\x{BF}‘-”†-•…‰‹›€№™–—‚„] {%- endset -%}
    case
        when regexp_matches({{ column }}, '[РС]{{ second_byte }}.*[РС]{{ second_byte }}')
            then coalesce(
                list_transform(
                    [try(decode(unhex({{ cp1251_bytes(column) }})))],
                    lambda decoded: case when regexp_matches(decoded, '[А-Яа-яЁё].*[А-Яа-яЁё]') then decoded end
                )[1],
                {{ column }}
            )
        when regexp_matches({{ column }}, '[À-ÿ]{2}')
            and regexp_matches({{ column }}, '([À-ÿ].*){4}')
            and not regexp_matches({{ column }}, '[А-Яа-яЁё]|[A-Za-z][À-ÿ]|[À-ÿ][A-Za-z]')
            then array_to_string(list_transform(
                string_split({{ column }}, ''),
                lambda letter: case
                    when unicode(letter) between 128 and 255
                        then substr({{ cp1251_upper_half() }}, unicode(letter) - 127, 1)
                    else letter
                end
            ), '')
        else {{ column }}
    end
{%- endmacro %}

{#- Two hex digits a character; a character that Windows-1251 lacks makes the whole unreadable, hence null later. -#}
{% macro cp1251_bytes(column) -%}
    list_aggregate(
        list_transform(
            string_split({{ column }}, ''),
            lambda letter: case
                when unicode(letter) < 128 then printf('%02x', unicode(letter))
                when strpos({{ cp1251_upper_half() }}, letter) > 0
                    then printf('%02x', 127 + strpos({{ cp1251_upper_half() }}, letter))
                -- a later step takes it out: it must not hide a wrong reading now
                when regexp_full_match(letter, '\p{C}') then ''
                when regexp_full_match(letter, '\p{Z}') then '20'
                else 'ff'
            end
        ), 'string_agg', ''
    )
{%- endmacro %}

{#- HTML entities, also those escaped twice (&amp;quot;, &#38;quot;). -#}
{% macro without_entities(column) -%}
    case
        when not contains({{ column }}, '&') then {{ column }}
        else {% set named = {
            'quot': '"', 'laquo': '«', 'raquo': '»', 'ldquo': '“', 'rdquo': '”', 'bdquo': '„',
            'lsquo': '‘', 'rsquo': '’', 'apos': "''", 'nbsp': ' ', 'ndash': '–', 'mdash': '—', 'shy': '',
            'numero': '№', 'lt': '<', 'gt': '>', 'amp': '&'
        } -%}
            {%- for name in named %}replace({% endfor -%}
            list_reduce(
                list_distinct(regexp_extract_all(
                    {{ column }}, '&(?:amp;|#38;)*(#(?:[0-9]{2,6}|[xX][0-9A-Fa-f]{2,5})|[a-z]+);', 1
                )),
                lambda text, entity: regexp_replace(
                    text,
                    '&(amp;|#38;)*' || entity || ';',
                    case
                        when entity like '#x%' or entity like '#X%' then chr(try_cast('0x' || entity[3:] as integer))
                        when entity like '#%' then chr(try_cast(entity[2:] as integer))
                        else '&' || entity || ';'
                    end,
                    'g'
                ),
                {{ column }}
            )
            {%- for name, character in named.items() %}, '&{{ name }};', '{{ character }}'){% endfor %}
    end
{%- endmacro %}

{#- Control, zero-width and soft-hyphen characters go, every kind of space becomes one space, the ends are trimmed.
    U+FFFD marks a letter lost for good: such a text is not usable, the raw one stays beside it. -#}
{% macro plain_characters(column) -%}
    case
        when not regexp_matches({{ column }}, '[\p{C}\x{FFFD}]|[^\P{Z} ]|  |^ | $|^$') then {{ column }}
        when contains({{ column }}, chr(65533)) then null
        else nullif(trim(regexp_replace(
            regexp_replace({{ column }}, '[^\P{C}\t\n\r\f\v]+', '', 'g'),
            '[\t\n\r\f\v\p{Z}]+', ' ', 'g'
        )), '')
    end
{%- endmacro %}

{#- "Pомашка" with a Latin P: a word of both alphabets becomes Cyrillic when it has a letter only Cyrillic has and all
    its Latin letters have a Cyrillic twin, Latin the other way round; words of twins alone become Cyrillic. A Latin
    tail set off by a capital ("ТехноCOM") is meant, and stays. -#}
{% macro mixed_words_in_one_script(column) -%}
    {%- set latin, cyrillic = latin_twins(), cyrillic_twins() -%}
    case
        when not regexp_matches({{ column }}, '[A-Za-z][А-Яа-яЁё]|[А-Яа-яЁё][A-Za-z]') then {{ column }}
        else array_to_string(list_transform(
            regexp_extract_all({{ column }}, '[A-Za-zА-Яа-яЁё]+|[^A-Za-zА-Яа-яЁё]+'),
            lambda word: case
                when not regexp_matches(word, '[A-Za-z]') or not regexp_matches(word, '[А-Яа-яЁё]') then word
                when regexp_matches(word, '^[А-Яа-яЁё]*[а-яё][A-Z][A-Za-z]+$') then word
                when regexp_full_match(word, '[{{ latin }}А-Яа-яЁё]+')
                    then translate(word, '{{ latin }}', '{{ cyrillic }}')
                when regexp_full_match(word, '[{{ cyrillic }}A-Za-z]+')
                    then translate(word, '{{ cyrillic }}', '{{ latin }}')
                else word
            end
        ), '')
    end
{%- endmacro %}
