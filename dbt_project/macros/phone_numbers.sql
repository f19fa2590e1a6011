{#- Reads the phones that people typed. `relation` has `typed`, a list of fields as typed; `countries` is the seed phone_countries. The
    answer is a query of the same rows with `phones` in the place of `typed`: a list of (raw, number, extension, kind), `raw` as read,
    `number` in E.164 or null where it cannot be dialled, `kind` mobile, fixed, toll_free or foreign. Eight in front is Russia's trunk prefix,
    8-10 its way abroad; ten digits are a Russian number without prefix. Lists are read in their place: taking 600,000 of them apart
    and grouping them again costs three times as much. -#}
{% macro phone_numbers(relation, key, typed, countries) -%}
    with typed as (
        select * exclude ({{ typed }}), list_filter({{ typed }}, lambda field: field is not null) as phones from {{ relation }}
    ),
    -- What ends one number becomes a semicolon: separators, an extension, the plus of the next number.
    marked as (
        select * replace (flatten(list_transform(phones, lambda field: case
            when regexp_full_match(field, '\+?[0-9() .-]+') then [field] -- one number and nothing else, as most are
            else string_split(regexp_replace(regexp_replace(regexp_replace(lower(field),
                '[\s,;(]*(?:доб(?:авочный)?|доп|вн(?:утр(?:енний)?)?|ext(?:ension)?|x|х|#)[\s.:№#]*(\d{1,6})\b\)?', ' x\1;', 'g'),
                '\s*[,;/|\\\n\r&]\s*|\s+(?:и|или|and|or)\s+', ';', 'g'),
                '(\d\)?)\s*\+', '\1;+', 'g'), ';')
        end)) as phones)
        from typed
    ),
    pieces as (
        select * replace (list_filter(list_transform(phones, lambda piece: {
            'piece': piece,
            'raw': case when regexp_matches(piece, '^[+0-9].*[0-9]$') then piece else trim(piece, ' -.:()' || chr(9) || chr(160)) end
        }), lambda phone: phone.raw <> '') as phones)
        from marked
    ),
    read as (
        select * replace (list_transform(phones, lambda phone: {
            'raw': phone.raw,
            'extension': case when contains(phone.piece, 'x') then nullif(regexp_extract(phone.piece, 'x(\d+)$', 1), '') end,
            'has_plus': regexp_matches(phone.piece, '^[^\d]*\+'),
            'digits': case
                when regexp_matches(phone.piece, '[^0-9() +-]|\(0\)')
                    then regexp_replace(regexp_replace(phone.piece, 'x\d+$|\(0\)', '', 'g'), '[^\d]', '', 'g')
                else {% for mark in ' ()+-' %}replace({% endfor %}phone.piece{% for mark in ' ()+-' %}, '{{ mark }}', ''){% endfor %} -- cheaper
            end
        }) as phones)
        from pieces
    ),
    -- Two Russian numbers with nothing but a space between them.
    parted as (
        select * replace (case
            when len(list_filter(phones, lambda phone: length(phone.digits) >= 20)) = 0 then phones
            else flatten(list_transform(phones, lambda phone: list_transform(
                case
                    when regexp_full_match(phone.digits, '[78][3-9]\d{9}[78][3-9]\d{9}|[78][3-9]\d{9}[3489]\d{9}') then [phone.digits[:11], phone.digits[12:]]
                    when regexp_full_match(phone.digits, '[3489]\d{9}[3489]\d{9}') then [phone.digits[:10], phone.digits[11:]]
                    else [phone.digits]
                end,
                lambda digits: {'raw': phone.raw, 'extension': phone.extension, 'has_plus': phone.has_plus, 'digits': digits}
            )))
        end as phones)
        from read
    ),
    international as materialized ( -- read twice below
        select * replace (list_transform(phones, lambda phone: {'raw': phone.raw, 'extension': phone.extension, 'candidate': case
            when phone.has_plus and regexp_full_match(phone.digits, '8[39]\d{9}') then '7' || phone.digits[2:] -- no country has +83 or +89
            when phone.has_plus and regexp_full_match(phone.digits, '78[3489]\d{9}') then '7' || phone.digits[3:]
            when phone.has_plus then phone.digits
            when regexp_full_match(phone.digits, '[78]\d{10}') then '7' || phone.digits[2:]
            when length(phone.digits) = 10 then '7' || phone.digits
            when length(phone.digits) >= 12 and phone.digits[:3] = '810' then phone.digits[4:]
            when length(phone.digits) >= 12 and phone.digits[:2] = '00' then phone.digits[3:]
            when length(phone.digits) = 12 and phone.digits[:3] in ('375', '380', '992', '993', '994', '995', '996', '998') then phone.digits
        end}) as phones)
        from parted
    ),
    abroad as (
        select {{ key }}, candidate
        from (select {{ key }}, unnest(list_transform(phones, lambda phone: phone.candidate)) as candidate from international)
        where candidate[:1] <> '7'
    ),
    -- Calling codes are prefix-free: at most one of the three beginnings is a country's. The numbers of a country are matched as the lines
    -- of one text, for to prepare its expression, some thousand characters, takes longer than to match a thousand numbers.
    foreign_numbers as (
        select country_code || unnest(regexp_extract_all(numbers, '(?m)^(?:' || national_pattern || ')$')) as candidate
        from (
            select country_code, national_pattern, string_agg(distinct candidate[length(country_code) + 1:], chr(10)) as numbers
            from (select candidate, unnest([candidate[:1], candidate[:2], candidate[:3]]) as country_code from abroad)
            inner join {{ countries }} as countries using (country_code)
            group by all
        )
    ),
    known as (
        select {{ key }}, list(candidate) as known_abroad
        from abroad
        inner join foreign_numbers using (candidate)
        group by {{ key }}
    ),
    judged as (
        select * exclude (known_abroad) replace (list_transform(phones, lambda phone: {
            'raw': phone.raw,
            'number': case
                when phone.candidate[:1] = '7' then
                    case when {{ phone_is_in_plan_of_7('phone.candidate[2:]') }} then '+' || phone.candidate end
                when list_contains(known_abroad, phone.candidate) then '+' || phone.candidate
            end,
            'extension': phone.extension
        }) as phones)
        from international
        left join known using ({{ key }})
    )
    select * replace (list_transform(phones, lambda phone: {
        'raw': phone.raw, 'number': phone.number, 'extension': phone.extension,
        'kind': case
            when phone.number is null then null
            when starts_with(phone.number, '+79') then 'mobile'
            when not starts_with(phone.number, '+7') then 'foreign'
            when starts_with(phone.number, '+780') then 'toll_free'
            when phone.number[3:4] in ('70', '76', '77') or phone.number[3:5] in ('747', '785') then 'mobile'
            else 'fixed'
        end
    }) as phones)
    from judged
{%- endmacro %}
