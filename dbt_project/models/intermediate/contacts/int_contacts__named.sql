{{ config(materialized='view') }}
-- Names taken apart. Each word gets a letter for what it can be, the letters of a name make its shape, and a shape says which word is the
-- surname (L), the given name (F) and the patronymic (P). A shape that is not listed is not a name we can read: it stays whole.
{%- set twins_latin, twins_cyrillic = 'ABEKMHOPCTXYaeopcyxk', 'АВЕКМНОРСТХУаеорсухк' %}
with readable as ( -- a name of Cyrillic words holds no Latin ones: what looks like one is a slip of the keyboard
    select
        source, source_contact_id, contact_name,
        case
            when regexp_matches(contact_name, '[A-Za-z]') and regexp_matches(contact_name, '[А-Яа-яЁё]')
                and not regexp_matches(translate(contact_name, '{{ twins_latin }}', ''), '[A-Za-z]')
                then translate(contact_name, '{{ twins_latin }}', '{{ twins_cyrillic }}')
            else contact_name
        end as name_text
    from {{ ref('int_contacts__unioned') }}
    where regexp_matches(contact_name, '\pL')
),

split as (
    select
        *,
        case
            when regexp_full_match(name_text, '[А-ЯЁ][а-яё]+(?: [А-ЯЁ][а-яё]+)*') then string_split(name_text, ' ') -- as most are: quicker
            else regexp_extract_all(
                replace(regexp_replace(name_text, '\([^)]*\)|^(?:г-н|г-жа|господин|госпожа) |\.$', ' ', 'g'), ' - ', '-'), '[^\s,;.]+\.?'
            )
        end as words
    from readable
),

-- The same few thousand words make up all names: each is judged once.
known_words as (
    select
        *,
        case when kind = 'i' then upper(word[1]) || '.' else {{ capitalized('word') }} end as spelled
    from (
        select
            word, key, gender,
            given_name is not null as is_given,
            {{ name_word_kind('word', 'key', 'given_name') }} as kind
        from (
            select word, {{ word_key("case when ends_with(word, '.') then word[:-2] else word end") }} as key
            from (select distinct unnest(words) as word from split)
        )
        left join {{ ref('given_names') }} on given_name = key
    )
),

shaped as (
    select
        source, source_contact_id, name_text,
        case when len(words) > 4 then 'x' else {% for n in range(1, 5) %}coalesce(word_{{ n }}.kind, ''){{ ' || ' if n < 4 }}{% endfor %} end as shape,
        {% for n in range(1, 5) -%}
        word_{{ n }}.key as key_{{ n }}, word_{{ n }}.spelled as spelled_{{ n }},
        word_{{ n }}.gender as gender_{{ n }}, word_{{ n }}.is_given as is_given_{{ n }}{{ ',' if n < 4 }}
        {% endfor -%}
    from split
    {% for n in range(1, 5) -%}
    left join known_words as word_{{ n }} on word_{{ n }}.word = words[{{ n }}]
    {% endfor -%}
),

laid_out as (
    select
        *,
        case
            -- a woman's given name beside a word like Адамович: no patronymic of hers
            when shape = 'gp' then case when gender_1 = 'f' and key_2 like '%ич' or gender_1 = 'm' and key_2 like '%на' then 'FL' else 'FP' end
            when shape in ('wg', 'pg') then 'LF'
            when shape = 'gw' then 'FL'
            -- nobody puts the surname in the middle, unless the first word is a given name and the second ends like a surname
            when shape = 'gwp' then case when regexp_matches(key_2, '(?:[ое]в|[иы]н|ск[иоы]й|цк[иоы]й)а?$|(?:ск|цк)ая$|енко$') then 'FLP' else 'LFP' end
            when shape in ('wgp', 'wwp', 'ggp', 'pgp', 'pwp') then 'LFP'
            when shape in ('gpw', 'gpg', 'gpp', 'wpw', 'wpp') then 'FPL'
            when shape = 'wpg' then 'LPF'
            when shape = 'pgw' then 'PFL'
            when shape = 'pwg' then 'PLF'
            when shape in ('wwgp', 'wwii') then 'LLFP'
            when shape = 'gpww' then 'FPLL'
            when shape in ('wggo', 'wgwo', 'wgpo', 'wwgo', 'wwwo') then 'LFPP'
            when shape in ('ggow', 'gwow', 'gpow') then 'FPPL'
            when shape in ('wii', 'gii', 'pii', 'wgi', 'wip') then 'LFP'
            when shape in ('iiw', 'iig', 'iip', 'giw', 'ipw') then 'FPL'
            when shape = 'gwi' then 'FLP'
            when shape in ('wi', 'pi') then 'LF'
            when shape in ('iw', 'ip') then 'FL'
            when shape = 'g' then 'F'
        end as layout
    from shaped
),

parted as (
    select
        source, source_contact_id, name_text, layout,
        {% for part, role in [('last', 'L'), ('first', 'F'), ('second', 'P')] -%}
        {% for column, ending in [('spelled', 'name'), ('key', 'key')] -%}
        case strpos(layout, '{{ role }}') {% for n in range(1, 5) %}when {{ n }} then
            {{ column }}_{{ n }}{% if n < 4 and role in 'LP' %} || case when layout[{{ n + 1 }}] = '{{ role }}' then ' ' || {{ 'lower' if role == 'P' }}({{ column }}_{{ n + 1 }}) else '' end{% endif %} {% endfor %}end as {{ part }}_{{ ending }},
        {% endfor -%}
        {% endfor -%}
        case strpos(layout, 'F') {% for n in range(1, 5) %}when {{ n }} then is_given_{{ n }} {% endfor %}else false end as is_first_known
    from laid_out
),

measured as ( -- null where there is no such part
    select *, first_name like '_.' as has_first_initial, second_name like '_.' as has_second_initial
    from parted
)

select
    source, source_contact_id,
    case when layout is null then name_text else last_name end as last_name, first_name, second_name,
    case
        when layout is null then 'text'
        when last_name is not null and not has_first_initial and not has_second_initial then 'full'
        else 'part'
    end as name_kind,
    case when layout is null then {{ word_key('name_text') }} else last_key end as last_key,
    case when not has_first_initial then first_key end as first_key,
    case when not has_second_initial then second_key end as second_key,
    first_key[1] as first_initial,
    second_key[1] as second_initial,
    is_first_known
from measured
