{#- Reads the phones that people typed. `relation` has one row per `key` with `typed`, a list of fields as typed; `countries` is the seed
    phone_countries. The answer has one row per `key` with anything in those fields and `phones`, a list of (raw, number, extension,
    kind): `raw` as read, `number` in E.164 or null where it cannot be dialled, `kind` mobile, fixed, toll_free or foreign. Eight in front
    is Russia's trunk prefix, 8-10 its way abroad; ten digits are a Russian number without prefix. -#}
{% macro phone_numbers(relation, key, typed, countries) -%}
    with fields as (
        select {{ key }} as record_key, unnest({{ typed }}) as field, generate_subscripts({{ typed }}, 1) as field_no
        from {{ relation }}
    ),
    -- What ends one number becomes a semicolon: separators, an extension, the plus of the next number.
    marked as (
        select record_key, field_no, regexp_replace(regexp_replace(regexp_replace(lower(field),
            '[\s,;(]*(?:доб(?:авочный)?|доп|вн(?:утр(?:енний)?)?|ext(?:ension)?|x|х|#)[\s.:№#]*(\d{1,6})\b\)?', ' x\1;', 'g'),
            '\s*[,;/|\\\n\r&]\s*|\s+(?:и|или|and|or)\s+', ';', 'g'),
            '(\d\)?)\s*\+', '\1;+', 'g') as field
        from fields
        where field is not null
    ),
    pieces as (
        select record_key, field_no, unnest(parts) as piece, generate_subscripts(parts, 1) as piece_no
        from (select record_key, field_no, string_split(field, ';') as parts from marked)
    ),
    read as (
        select record_key, field_no, piece_no, trim(piece, ' -.:()' || chr(9) || chr(160)) as raw,
            nullif(regexp_extract(piece, 'x(\d+)$', 1), '') as extension,
            regexp_matches(piece, '^[^\d]*\+') as has_plus,
            regexp_replace(regexp_replace(piece, 'x\d+$|\(0\)', '', 'g'), '[^\d]', '', 'g') as digits
        from pieces
        where trim(piece, ' -.:()' || chr(9) || chr(160)) <> ''
    ),
    -- Two Russian numbers with nothing but a space between them.
    parted as (
        select * exclude (digits), unnest(case
            when length(digits) < 20 then [digits]
            when regexp_full_match(digits, '[78][3-9]\d{9}[78][3-9]\d{9}|[78][3-9]\d{9}[3489]\d{9}') then [digits[:11], digits[12:]]
            when regexp_full_match(digits, '[3489]\d{9}[3489]\d{9}') then [digits[:10], digits[11:]]
            else [digits]
        end) as digits
        from read
    ),
    international as materialized ( -- read twice below
        select *, case
            when has_plus and regexp_full_match(digits, '8[39]\d{9}') then '7' || digits[2:] -- no country has +83 or +89
            when has_plus and regexp_full_match(digits, '78[3489]\d{9}') then '7' || digits[3:]
            when has_plus then digits
            when regexp_full_match(digits, '[78]\d{10}') then '7' || digits[2:]
            when length(digits) = 10 then '7' || digits
            when length(digits) >= 12 and digits[:3] = '810' then digits[4:]
            when length(digits) >= 12 and digits[:2] = '00' then digits[3:]
            when length(digits) = 12 and digits[:3] in ('375', '380', '992', '993', '994', '995', '996', '998') then digits
        end as candidate
        from parted
    ),
    -- Calling codes are prefix-free: at most one of the three beginnings is a country's.
    foreign_numbers as (
        select distinct numbers.candidate
        from (
            select distinct candidate, unnest([candidate[:1], candidate[:2], candidate[:3]]) as country_code
            from international
            where candidate[:1] <> '7'
        ) numbers
        inner join {{ countries }} as countries on countries.country_code = numbers.country_code
        where regexp_full_match(numbers.candidate[length(numbers.country_code) + 1:], countries.national_pattern)
    ),
    judged as (
        select record_key, field_no, piece_no, raw, extension, case
                when candidate[:1] = '7' then
                    case when {{ phone_is_in_plan_of_7('candidate[2:]') }} then '+' || candidate end
                when foreign_numbers.candidate is not null then '+' || international.candidate
            end as number
        from international left join foreign_numbers using (candidate)
    )
    select
        record_key as {{ key }},
        list_transform(list_sort(list({ -- sorted as a whole: cheaper than an ordered aggregate
            'field_no': field_no, 'piece_no': piece_no, 'raw': raw, 'number': number, 'extension': extension,
            'kind': case
                when number is null then null
                when starts_with(number, '+79') then 'mobile'
                when not starts_with(number, '+7') then 'foreign'
                when starts_with(number, '+780') then 'toll_free'
                when number[3:4] in ('70', '76', '77') or number[3:5] in ('747', '785') then 'mobile'
                else 'fixed'
            end
        })), lambda phone: {'raw': phone.raw, 'number': phone.number, 'extension': phone.extension, 'kind': phone.kind}) as phones
    from judged
    group by record_key
{%- endmacro %}
