-- The words of all names, each judged once: the same few thousand make up all of them. `kind` is a letter for what a
-- word can be.
with names as (
    select words from {{ ref('int_contacts__names_split') }}
),

given_names as (
    select * from {{ ref('given_names') }}
),

job_words as (
    select * from {{ ref('job_words') }}
),

words_for_nothing as (
    select word as nothing from {{ ref('words_for_nothing') }}
),

words as (
    select distinct unnest(words) as word from names
),

keyed as (
    select word, {{ word_key("case when ends_with(word, '.') then word[:-2] else word end") }} as key from words
),

judged as (
    select
        word, key, gender,
        given_name is not null as is_given,
        case
            when nothing is not null then 'n'
            else {{ name_word_kind('word', 'key', 'job_word is not null', 'given_name is not null') }}
        end as kind
    from keyed
    left join given_names on given_name = key
    left join job_words on job_word = key
    left join words_for_nothing on nothing = key
),

spelled as ( -- as it is written in a name
    select
        *,
        case kind
            when 'i' then upper(word[1]) || '.'
            when 'o' then lower(word)
            else {{ capitalized('word') }}
        end as spelled
    from judged
)

select * from spelled
