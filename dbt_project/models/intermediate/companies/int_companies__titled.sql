{{ config(materialized='view') }}
-- The name as entered taken apart: legal form, the name proper, and the one canonical title made of both:
-- ООО "Ромашка", also from 'Ромашка, ООО', «Общество с ограниченной ответственностью ""Ромашка""' and the like.
with companies as (
    select * from {{ ref('int_companies__validated') }}
),

legal_forms as (
    select * from {{ ref('legal_forms') }}
),

quoted as ( -- every kind of quotation mark is one straight mark, dotted abbreviations lose their dots
    select
        record_key, company_name,
        regexp_replace(
            regexp_replace(
                trim(regexp_replace(
                    regexp_replace(company_name, '[«»“”„‟‹›″"]|''''|``|,,', '"', 'g'),
                    ' *"( *")+', '"', 'g'
                )),
                '^([ОоOo])\. ?[ОоOo]\. ?[ОоOo]\.? ?', 'ООО '
            ),
            '^[Ии]\. ?[Пп]\. ?', 'ИП '
        ) as name
    from companies
    where company_name is not null
),

words as (
    select
        *,
        translate(
            upper(regexp_extract(name, '^[" (]*([A-Za-zА-Яа-яЁё]+)[" ,.:)]', 1)),
            '{{ latin_capital_twins() }}', '{{ cyrillic_capital_twins() }}'
        ) as first_word,
        translate(
            upper(regexp_extract(name, '[" ,(]([A-Za-zА-Яа-яЁё]+)[" .)]*$', 1)),
            '{{ latin_capital_twins() }}', '{{ cyrillic_capital_twins() }}'
        ) as last_word,
        replace(upper(trim(name, '" ')), 'Ё', 'Е') as folded
    from quoted
),

abbreviations as (
    select distinct abbreviation from legal_forms
),

abbreviated as (
    select
        words.*,
        coalesce(heads.abbreviation, tails.abbreviation) as abbreviation,
        case
            when heads.abbreviation is not null then regexp_replace(name, '^[" (]*[A-Za-zА-Яа-яЁё]+', '')
            when tails.abbreviation is not null then regexp_replace(name, '[A-Za-zА-Яа-яЁё]+[" .)]*$', '')
        end as rest
    from words
    left join abbreviations as heads on heads.abbreviation = first_word
    left join abbreviations as tails on tails.abbreviation = last_word
),

long_enough as ( -- for a spelled-out form: most names are shorter, and each would be compared with every form
    select record_key, folded
    from abbreviated
    where abbreviation is null and length(folded) >= (select min(length(full_form)) from legal_forms)
),

spelled_out as ( -- the longest form that fits: "Публичное акционерное общество" is more than its last two words
    select
        record_key,
        arg_max(legal_forms.abbreviation, length(full_form)) as abbreviation,
        max(length(full_form)) as form_length,
        arg_max(starts_with(folded, upper(full_form)), length(full_form)) as is_at_start
    from long_enough
    inner join legal_forms
        on starts_with(folded, upper(full_form)) or ends_with(folded, upper(full_form))
    group by all
),

taken_apart as (
    select
        abbreviated.record_key, name,
        coalesce(abbreviated.abbreviation, spelled_out.abbreviation) as legal_form,
        trim(case
            when abbreviated.abbreviation is not null then rest
            when is_at_start then trim(name, '" ')[form_length + 1:]
            when not is_at_start then trim(name, '" ')[:-form_length - 1]
            else name
        end, ' ",;:') as core
    from abbreviated
    left join spelled_out using (record_key)
),

trimmed as (
    select
        * replace (trim(case
            when core like '%)' and not contains(core, '(') then core[:-2]
            when core like '%(' then core[:-2]
            when core like '(%)' and not contains(core[2:], '(') then core[2:-2]
            when core like ')%' then core[2:]
            else core
        end, ' ",;:') as core)
    from taken_apart
),

titled as (
    select
        record_key,
        legal_form,
        case
            when core = '' then null -- a legal form alone names nobody
            when legal_form is null then case when contains(core, '"') then name else core end
            when legal_form = 'ИП' then 'ИП ' || core
            else legal_form || ' "' || core || '"'
        end as title
    from trimmed
)

select * from titled
