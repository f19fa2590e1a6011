-- Names of two words that are given names both ("Роман Давид"), one row per pair of words, and which is the surname:
-- what the words are in all names with a patronymic, which are read by position, and which order is usual here.
with words as (
    select word, key, kind from {{ ref('int_contacts__name_words') }}
),

names as (
    select words from {{ ref('int_contacts__names_split') }} where len(words) between 2 and 3
),

kinds as (
    select
        words,
        first_word.key as first_key, second_word.key as second_key, third_word.key as third_key,
        concat(first_word.kind, second_word.kind, third_word.kind) as kinds
    from names
    left join words as first_word on first_word.word = words[1]
    left join words as second_word on second_word.word = words[2]
    left join words as third_word on third_word.word = words[3]
),

pairs as (
    select distinct words[1] as first_word, words[2] as second_word, first_key, second_key from kinds where kinds = 'gg'
),

told as ( -- surname and given name where a patronymic tells them
    select first_key as last_name, second_key as first_name from kinds where regexp_full_match(kinds, '[gw][gw]p')
    union all
    select third_key, first_key from kinds where regexp_full_match(kinds, '[gw]p[gw]')
),

keys as (
    select first_key as key from pairs
    union
    select second_key from pairs
),

as_surnames as (
    select last_name as key, count(*) as surname_count from told semi join keys on key = last_name group by last_name
),

as_given_names as (
    select first_name as key, count(*) as given_count from told semi join keys on key = first_name group by first_name
),

counted as (
    select key, coalesce(surname_count, 0) + 0.5 as surname_count, coalesce(given_count, 0) + 0.5 as given_count
    from keys
    left join as_surnames using (key)
    left join as_given_names using (key)
),

orders as (
    select
        count(*) filter (kinds in ('wg', 'pg')) + 0.5 as surname_first_count,
        count(*) filter (kinds in ('gw', 'gp')) + 0.5 as given_first_count
    from kinds
),

judged as (
    select
        first_word, second_word,
        first_one.surname_count * second_one.given_count * surname_first_count
        >= first_one.given_count * second_one.surname_count * given_first_count as is_surname_first
    from pairs
    inner join counted as first_one on first_one.key = first_key
    inner join counted as second_one on second_one.key = second_key
    cross join orders
)

select * from judged
