-- The phones that people entered, read: one row per contact and number. Eight in front is Russia's trunk prefix, 8-10
-- its way abroad; ten digits are a Russian number without prefix. `number` is null where nothing can be dialled.
with pieces as (
    select * from {{ ref('int_contacts__phone_pieces') }}
),

countries as (
    select * from {{ ref('phone_countries') }}
),

international as (
    select
        *,
        case
            -- no country has +83 or +89
            when has_plus and regexp_full_match(digits, '8[39]\d{9}') then '7' || digits[2:]
            when has_plus and regexp_full_match(digits, '78[3489]\d{9}') then '7' || digits[3:]
            when has_plus then digits
            when length(digits) = 11 and digits[1] in ('7', '8') then '7' || digits[2:]
            when length(digits) = 10 then '7' || digits
            when length(digits) >= 12 and digits[:3] = '810' then digits[4:]
            when length(digits) >= 12 and digits[:2] = '00' then digits[3:]
            when length(digits) = 12 and digits[:3] in ('375', '380', '992', '993', '994', '995', '996', '998')
                then digits
        end as candidate
    from pieces
),

abroad as ( -- calling codes are prefix-free: at most one of the three beginnings is a country's
    select candidate, unnest([candidate[:1], candidate[:2], candidate[:3]]) as country_code
    from international
    where candidate[:1] <> '7'
),

-- The numbers of a country are matched as the lines of one text, for to prepare its expression, some thousand
-- characters, takes longer than to match a thousand numbers.
by_country as (
    select
        country_code, national_pattern,
        string_agg(distinct candidate[length(country_code) + 1:], chr(10)) as numbers
    from abroad
    inner join countries using (country_code)
    group by all
),

known_abroad as (
    select country_code || unnest(regexp_extract_all(numbers, '(?m)^(?:' || national_pattern || ')$')) as candidate
    from by_country
),

judged as (
    select
        record_key, position, phone_raw, extension,
        case
            when candidate[:1] = '7'
                then case when {{ phone_is_in_plan_of_7('candidate[2:]') }} then '+' || candidate end
            when known_abroad.candidate is not null then '+' || candidate
        end as number
    from international
    left join known_abroad using (candidate)
),

phones as (
    select
        record_key, position, phone_raw, number, extension,
        {{ phone_kind('number') }} as kind
    from judged
)

select * from phones
