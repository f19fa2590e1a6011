-- Every legal form, spelled out and abbreviated: those of the seed, and those of institutions, put together of their
-- words.
with legal_forms as (
    select * from {{ ref('legal_forms') }}
),

words as (
    select * from {{ ref('institution_words') }}
),

composed as (
    select
        types.letters || tasks.letters as abbreviation,
        upper(types.words || ' ' || tasks.words) as spelled_out,
        false as stands_behind
    from words as types
    inner join words as tasks on types.place = 1 and tasks.place = 2
),

forms as (
    select abbreviation, replace(upper(full_form), 'Ё', 'Е') as spelled_out, stands_behind from legal_forms
    union all
    select * from composed
)

select * from forms
