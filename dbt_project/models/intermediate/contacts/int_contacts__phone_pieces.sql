{{ config(materialized='view') }}
-- The fields for phones that people filled in, taken apart: one row per contact and run of digits that may be a number.
with contacts as (
    select record_key, phones_raw from {{ ref('int_contacts__unioned') }}
),

fields as (
    select record_key, generate_subscripts(phones_raw, 1) * 10000 as position, unnest(phones_raw) as field
    from contacts
),

-- What ends one number becomes a semicolon: separators, an extension, the plus of the next number, and words behind ten
-- digits when there are more: "8 916 123-45-67 (с 9 до 18)".
marked as (
    select
        record_key, position,
        case
            when regexp_full_match(field, '\+?[0-9() .-]+') then [field] -- one number and nothing else, as most are
            else string_split(regexp_replace(regexp_replace(regexp_replace(regexp_replace(lower(field),
                '(^|[^а-яёa-z])[\s,;(]*'
                || '(?:доб(?:авочный)?|доп|вн(?:утр(?:енний)?)?|ext(?:ension)?|x|х|#)[\s.:№#]*(\d{1,6})\b\)?',
                '\1 x\2;', 'g'),
                '\s*[,;/|\\\n\r&]\s*|\s+(?:и|или|and|or)\s+', ';', 'g'),
                '(\d\)?)\s*\+', '\1;+', 'g'),
                '(\d(?:[\s().-]*\d){9,}\)?)[\s().-]*([а-яёa-wyz][^;\d]*\d)', '\1;\2', 'g'), ';')
        end as pieces
    from fields
    where field is not null
),

pieces as (
    select record_key, position + generate_subscripts(pieces, 1) * 10 as position, unnest(pieces) as piece
    from marked
),

trimmed as (
    select
        *,
        case
            when regexp_matches(piece, '^[+0-9].*[0-9]$') then piece
            -- a bracket that opened around the first digits is a part of the number
            else regexp_replace(trim(piece, ' -.:()' || chr(9) || chr(160)), '^([0-9 ]+\))', '(\1')
        end as phone_raw
    from pieces
),

digits_read as (
    select
        record_key, position, phone_raw,
        case when contains(piece, 'x') then nullif(regexp_extract(piece, 'x(\d+)$', 1), '') end as extension,
        contains(piece, '+') and regexp_matches(piece, '^[^\d]*\+') as has_plus,
        case
            when regexp_matches(piece, '[^0-9() +-]|\(0\)')
                then regexp_replace(regexp_replace(piece, 'x\d+$|\(0\)', '', 'g'), '[^\d]', '', 'g')
            else translate(piece, ' ()+-', '') -- the same, cheaper
        end as digits
    from trimmed
    where phone_raw <> ''
),

parted as ( -- Russian numbers with nothing but spaces between them
    select
        * exclude (digits),
        case
            when length(digits) < 20 then [digits]
            when regexp_full_match(digits, '(?:[78][3-9]\d{9})+') then regexp_extract_all(digits, '\d{11}')
            when regexp_full_match(digits, '[78][3-9]\d{9}[3489]\d{9}') then [digits[:11], digits[12:]]
            when regexp_full_match(digits, '(?:[3489]\d{9})+') then regexp_extract_all(digits, '\d{10}')
            else [digits]
        end as parts
    from digits_read
),

separate as (
    select
        record_key, position + generate_subscripts(parts, 1) as position,
        phone_raw, extension, has_plus, unnest(parts) as digits
    from parted
)

select * from separate
