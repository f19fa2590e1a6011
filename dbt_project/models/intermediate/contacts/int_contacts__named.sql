{{ config(materialized='view') }}
-- Names taken apart. The letters of a name's words make its shape, and the seed name_layouts says which word of a shape
-- is the surname (L), the given name (F) and the patronymic (P). A shape that is not in the seed is not a name we can
-- read: it stays whole.
with names as (
    select * from {{ ref('int_contacts__names_split') }}
),

words as (
    select * from {{ ref('int_contacts__name_words') }}
),

layouts as (
    select * from {{ ref('name_layouts') }}
),

twofold_names as (
    select * from {{ ref('int_contacts__twofold_names') }}
),

shaped as (
    select
        record_key, name_text,
        concat(first_word.kind, second_word.kind, third_word.kind, fourth_word.kind) as kinds,
        is_surname_first,
        [first_word.key, second_word.key, third_word.key, fourth_word.key] as keys,
        [first_word.spelled, second_word.spelled, third_word.spelled, fourth_word.spelled] as spelled,
        [first_word.is_given, second_word.is_given, third_word.is_given, fourth_word.is_given] as is_given,
        -- a woman's given name beside a word like Адамович, a man's beside one like Петровна: no patronymic of theirs
        first_word.gender = 'f' and second_word.key like '%ич'
            or first_word.gender = 'm' and second_word.key like '%на' as is_of_other_gender,
        regexp_matches(second_word.key, '(?:[ое]в|[иы]н|ск[иоы]й|цк[иоы]й)а?$|(?:ск|цк)ая$|енко$') as is_like_surname,
        len(words) <= 4 as is_short_enough -- nobody's name has five words
    from names
    left join words as first_word on first_word.word = words[1]
    left join words as second_word on second_word.word = words[2]
    left join words as third_word on third_word.word = words[3]
    left join words as fourth_word on fourth_word.word = words[4]
    left join twofold_names
        on twofold_names.first_word = words[1] and twofold_names.second_word = words[2] and len(words) = 2
),

told_apart as ( -- three shapes are read in two ways, and it is the words that tell
    select
        *,
        kinds || case
            when kinds = 'gp' and is_of_other_gender then ' of other gender'
            when kinds = 'gwp' and is_like_surname then ' like a surname'
            when kinds = 'gg' then case when is_surname_first then ' surname first' else ' given name first' end
            else ''
        end as shape
    from shaped
    where not (is_short_enough and regexp_full_match(kinds, 'n+')) -- "не указан"
        and not (kinds = 'iii' and keys[:3] = ['ф', 'и', 'о'])
),

laid_out as (
    select
        told_apart.*,
        layout,
        strpos(layout, 'L') as last_at, strpos(layout, 'F') as first_at, strpos(layout, 'P') as second_at,
        contains(layout, 'LL') as is_last_double, contains(layout, 'PP') as is_second_double
    from told_apart
    left join layouts on layouts.shape = told_apart.shape and is_short_enough
),

parted as (
    select
        record_key, name_text, layout,
        spelled[last_at] || case when is_last_double then ' ' || spelled[last_at + 1] else '' end as last_name,
        keys[last_at] || case when is_last_double then ' ' || keys[last_at + 1] else '' end as last_key,
        spelled[first_at] as first_name,
        keys[first_at] as first_key,
        spelled[second_at] || case when is_second_double then ' ' || spelled[second_at + 1] else '' end as second_name,
        keys[second_at] || case when is_second_double then ' ' || keys[second_at + 1] else '' end as second_key,
        coalesce(is_given[first_at], false) as is_first_known
    from laid_out
),

measured as ( -- null where there is no such part
    select *, first_name like '_.' as has_first_initial, second_name like '_.' as has_second_initial
    from parted
),

named as (
    select
        record_key,
        case when layout is null then name_text else last_name end as last_name,
        first_name,
        second_name,
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
)

select * from named
