{#- True where two name forms, rows of aliases `a` and `b` with the columns of int_contacts__named, may be one person's.
    Given parts must be equal, an initial must open the other's word, a missing part contradicts nothing; one slip of
    the pen is forgiven in all. Without a surname on one side the given names must be equal. Surname and given name in the
    other order are the same where a patronymic is missing: "Роман Давид" can be read both ways. Text that is no name
    agrees only with the same text. -#}
{% macro names_agree(a, b) -%}
    case
        when {{ a }}.name_kind = 'text' or {{ b }}.name_kind = 'text'
            then {{ a }}.name_kind = {{ b }}.name_kind and {{ a }}.last_key = {{ b }}.last_key
        when {{ a }}.last_key is null or {{ b }}.last_key is null
            then {{ a }}.first_key = {{ b }}.first_key and coalesce({{ a }}.second_key = {{ b }}.second_key, true)
        when {{ a }}.last_key = {{ b }}.first_key and {{ a }}.first_key = {{ b }}.last_key
            and ({{ a }}.second_initial is null or {{ b }}.second_initial is null)
            then true
        when coalesce({{ a }}.first_initial <> {{ b }}.first_initial, false)
            or coalesce({{ a }}.second_initial <> {{ b }}.second_initial, false)
            then false
        else coalesce(
            {{ slips(a, b, 'last_key') }}
            + case
                when {{ a }}.is_first_known and {{ b }}.is_first_known and {{ a }}.first_key <> {{ b }}.first_key then 9
                else {{ slips(a, b, 'first_key') }}
            end
            + {{ slips(a, b, 'second_key') }} <= 1,
            false
        )
    end
{%- endmacro %}

{#- 0 where the words are equal or one is missing, 1 where a slip of the pen parts them (one letter left out, added,
    changed or two swapped, never the first one; not the ending that tells a woman's surname from a man's), 9 where they
    are two words. -#}
{% macro slips(a, b, part) -%}
    case
        when {{ a }}.{{ part }} is null or {{ b }}.{{ part }} is null or {{ a }}.{{ part }} = {{ b }}.{{ part }} then 0
        when {{ a }}.{{ part }}[1] = {{ b }}.{{ part }}[1]
            and least(length({{ a }}.{{ part }}), length({{ b }}.{{ part }})) >= 4
            and {{ a }}.{{ part }} <> {{ b }}.{{ part }} || 'а' and {{ b }}.{{ part }} <> {{ a }}.{{ part }} || 'а'
            and damerau_levenshtein({{ one_byte_letters(a ~ '.' ~ part) }}, {{ one_byte_letters(b ~ '.' ~ part) }}) = 1
            then 1
        else 9
    end
{%- endmacro %}

{#- DuckDB counts edits in bytes, and a Cyrillic letter has two: each gets an ASCII character of its own before words
    are compared. -#}
{% macro one_byte_letters(word) -%}
    translate({{ word }}, 'абвгдежзийклмнопрстуфхцчшщъыьэюя', 'abcdefghijklmnopqrstuvwxyz012345')
{%- endmacro %}
