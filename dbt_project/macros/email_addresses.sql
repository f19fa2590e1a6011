{#- Reads the e-mails that people typed: `typed` is a list of fields, the answer a list of (raw, address), `address` in lower case or null
    where nothing could be delivered to it. Cyrillic twins of Latin letters are put right where the whole address turns Latin by it. -#}
{% macro email_addresses(typed) -%}
    case
        -- nothing but addresses in their common form: no step below changes them
        when len(list_filter({{ typed }}, lambda field: not coalesce(regexp_full_match(field, '[a-z0-9_]+(?:[.-][a-z0-9_]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,24}'), false))) = 0
            then list_transform({{ typed }}, lambda field: {'raw': field, 'address': field})
        else list_transform(
            list_transform(
                list_filter(
                    regexp_split_to_array(
                        regexp_replace(
                            regexp_replace(lower(coalesce(array_to_string({{ typed }}, ';'), '')), '[\x{00A0}\x{00AD}\x{200B}-\x{200D}\x{FEFF}]+|mailto:|e-?mail:|почта:', ' ', 'g'),
                            '\s*@\s*', '@', 'g'),
                        '[\s,;|/<>"()\[\]]+'
                    ),
                    lambda part: trim(part, '.:-') <> ''
                ),
                lambda part: {'raw': part, 'address': {{ latin_if_twins("trim(part, '.:''')") }} }
            ),
            lambda email: {'raw': email.raw, 'address': case when {{ is_deliverable_email('email.address') }} then email.address end}
        )
    end
{%- endmacro %}

{#- One @, a local part of dot-separated atoms, a host with a top-level domain (RFC 5321, section 4.1.2, without quoted local parts). -#}
{% macro is_deliverable_email(address) -%}
    regexp_full_match({{ address }}, '[a-z0-9_!#$%&''*+=?^`{}~-]+(?:\.[a-z0-9_!#$%&''*+=?^`{}~-]+)*@(?:[a-z0-9а-яё](?:[a-z0-9а-яё-]*[a-z0-9а-яё])?\.)+(?:[a-z]{2,24}|xn--[a-z0-9-]{2,}|рф|[а-яё]{3,})')
{%- endmacro %}

{#- An address that turns wholly Latin once its Cyrillic twins are read as Latin letters; any other stays as it is. -#}
{% macro latin_if_twins(address) -%}
    case
        when not regexp_matches({{ address }}, '[а-яё]') then {{ address }}
        when regexp_matches(translate({{ address }}, 'аеорсухкмнвт', 'aeopcyxkmhbt'), '[а-яё]') then {{ address }}
        else translate({{ address }}, 'аеорсухкмнвт', 'aeopcyxkmhbt')
    end
{%- endmacro %}
