-- The name of each contact that has one as its words; brackets, addresses ("г-н") and a job behind a comma or a dash
-- are left out.
{%- set latin, cyrillic = latin_twins() ~ 'mhbt', cyrillic_twins() ~ 'мнвт' %} {#- and capital twins made small #}
with contacts as (
    select record_key, contact_name from {{ ref('int_contacts__cleaned') }} where regexp_matches(contact_name, '\pL')
),

jobs as (
    select list(job_word) as jobs from {{ ref('job_words') }} where reason = 'a job'
),

readable as ( -- a name of Cyrillic words holds no Latin ones: what looks like one is a slip of the keyboard
    select
        record_key,
        case
            when regexp_matches(contact_name, '[A-Za-z]') and regexp_matches(contact_name, '[А-Яа-яЁё]')
                and not regexp_matches(translate(contact_name, '{{ latin }}', ''), '[A-Za-z]')
                then translate(contact_name, '{{ latin }}', '{{ cyrillic }}')
            else contact_name
        end as name_text
    from contacts
),

dotted as ( -- the dot behind a word ends the text, the one behind a letter is an initial's: "иванов и.и" lacks it
    select
        *,
        regexp_replace(
            regexp_replace(translate(name_text, '‐‑–—', '----'), '(\pL\pL)\.$', '\1'), '( \pL\. ?\pL)$', '\1.'
        ) as whole
    from readable
),

without_job as (
    select
        record_key, name_text,
        case
            when (contains(whole, ',') or contains(whole, ' - '))
                and list_contains(jobs, {{ word_key("regexp_extract(whole, '(?:, *| - )(\\pL+)[^,]*$', 1)") }})
                then regexp_replace(whole, '(?:, *| - )\pL+[^,]*$', '')
            else whole
        end as whole
    from dotted
    cross join jobs
),

split as (
    select
        record_key, name_text,
        case
            -- as most are: quicker
            when regexp_full_match(name_text, '[А-ЯЁ][а-яё]+(?: [А-ЯЁ][а-яё]+)*') then string_split(name_text, ' ')
            else regexp_extract_all(
                replace(
                    regexp_replace(whole, '(?i)\([^)]*\)|^(?:г-н|г-жа|господин|госпожа) ', ' ', 'g'), ' - ', '-'
                ),
                '[^\s,;.]+\.?'
            )
        end as words
    from without_job
)

select * from split
