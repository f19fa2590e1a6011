-- The name as entered taken apart: legal form, the rest, and the one canonical title made of both: ООО "Ромашка", also
-- from 'Ромашка, ООО'. A rest with a quoted part and words beside it stays so; no word of a name is lost or made.
{%- set letters = 'A-Za-zА-Яа-яЁё' %}
with companies as (
    select * from {{ ref('int_companies__validated') }}
),

legal_forms as (
    select * from {{ ref('int_companies__legal_forms') }}
),

quoted as ( -- every kind of quotation mark is one straight mark, dotted abbreviations lose their dots
    select
        record_key,
        regexp_replace(
            regexp_replace(
                trim(regexp_replace({{ straight_marks('company_name') }}, '"{2,}|(?:^| )" +"', '"', 'g')),
                '^([ОоOo])\. ?[ОоOo]\. ?[ОоOo]\.? ?', 'ООО '
            ),
            '^[Ии]\. ?[Пп]\. ?', 'ИП '
        ) as name
    from companies
    where company_name is not null
),

worded as (
    select
        *,
        regexp_extract(name, '^[" (]*([{{ letters }}]+ [{{ letters }}]+)[" ,.:)]', 1) as two_words,
        regexp_extract(name, '^[" (]*([{{ letters }}]+)[" ,.:)]', 1) as first_word,
        regexp_extract(name, '[" ,(]([{{ letters }}]+)[" .)]*$', 1) as last_word,
        replace(upper(ltrim(name, '" ')), 'Ё', 'Е') as folded
    from quoted
),

abbreviations as (
    select abbreviation, bool_or(stands_behind) as stands_behind from legal_forms group by abbreviation
),

abbreviated as (
    select
        worded.*,
        coalesce(pairs.abbreviation, heads.abbreviation, tails.abbreviation) as abbreviation,
        case
            when pairs.abbreviation is not null
                then regexp_replace(name, '^[" (]*[{{ letters }}]+ [{{ letters }}]+', '')
            when heads.abbreviation is not null then regexp_replace(name, '^[" (]*[{{ letters }}]+', '')
            when tails.abbreviation is not null then regexp_replace(name, '[{{ letters }}]+[" .)]*$', '')
        end as rest
    from worded
    left join abbreviations as pairs on pairs.abbreviation = {{ in_cyrillic_capitals('two_words') }}
    left join abbreviations as tails
        on tails.abbreviation = {{ in_cyrillic_capitals('last_word') }} and tails.stands_behind
    left join abbreviations as heads
        on heads.abbreviation = {{ in_cyrillic_capitals('first_word') }}
        -- letters of an institution may be a word: "БУК, ООО", "Ноу Хау"
        and (heads.stands_behind or tails.abbreviation is null and first_word in (upper(first_word), lower(first_word)))
),

spelled_out as ( -- the longest form that fits: "Публичное акционерное общество" is more than its last two words
    select
        record_key,
        arg_max(legal_forms.abbreviation, length(spelled_out)) as abbreviation,
        max(length(spelled_out)) as form_length,
        arg_max(starts_with(folded, spelled_out), length(spelled_out)) as is_at_start
    from abbreviated
    inner join legal_forms
        on starts_with(folded, spelled_out) and not regexp_matches(folded[length(spelled_out) + 1:], '^[А-Я]')
        or ends_with(rtrim(folded, '" '), spelled_out) and stands_behind
    where abbreviated.abbreviation is null and regexp_matches(folded, '[А-Я]{8}') -- no form is spelled without
    group by all
),

taken_apart as (
    select
        abbreviated.record_key, name,
        coalesce(abbreviated.abbreviation, spelled_out.abbreviation) as legal_form,
        trim(case
            when abbreviated.abbreviation is not null then rest
            when is_at_start then ltrim(name, '" ')[form_length + 1:]
            when not is_at_start then rtrim(name, '" ')[:-form_length - 1]
            else name
        end, ' ,;:') as core
    from abbreviated
    left join spelled_out using (record_key)
),

trimmed as (
    select * replace ({{ balanced_marks('core') }} as core)
    from (
        select
            * replace (trim(case
                when core like '%)' and not contains(core, '(') then core[:-2]
                when core like '%(' then core[:-2]
                when core like '(%)' and not contains(core[2:], '(') then core[2:-2]
                when core like ')%' then core[2:]
                else core
            end, ' ,;:') as core)
        from taken_apart
    )
),

titled as (
    select
        record_key, legal_form,
        case
            when trim(core, '" ') = '' then null -- a legal form alone names nobody
            when contains(core, '"') and not regexp_full_match(core, '"[^"]*"')
                then concat_ws(' ', legal_form, core) -- a structure of its own
            when legal_form is null or legal_form = 'ИП' then concat_ws(' ', legal_form, trim(core, '" '))
            -- what begins in the middle of a phrase is no name to be quoted: ГБУ ветеринарии Томской области
            when not stands_behind and regexp_matches(core, '^[а-яё]') then legal_form || ' ' || core
            else legal_form || ' "' || trim(core, '" ') || '"'
        end as title
    from trimmed
    left join abbreviations on abbreviation = legal_form
)

select * from titled
