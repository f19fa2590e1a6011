-- The e-mails that people entered, read: one row per contact and address, in lower case; `address` is null where
-- nothing could be delivered to it. Cyrillic twins of Latin letters are put right where the whole address turns Latin
-- by it.
with contacts as (
    select record_key, emails_raw from {{ ref('int_contacts__unioned') }}
),

fields as (
    select
        record_key,
        array_to_string(emails_raw, ';') as field,
        regexp_full_match(
            array_to_string(emails_raw, ';'),
            '[a-z0-9_]+(?:[.-][a-z0-9_]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,24}'
        ) as is_common
    from contacts
    where len(emails_raw) > 0
),

separated as (
    select
        record_key, is_common,
        case
            when is_common then [field] -- one address in its common form, as most are: no step below changes it
            else regexp_split_to_array(
                regexp_replace(
                    regexp_replace(
                        lower(field),
                        '[\x{00A0}\x{00AD}\x{200B}-\x{200D}\x{FEFF}]+|mailto:|e-?mail:|почта:', ' ', 'g'
                    ),
                    '\s*@\s*', '@', 'g'
                ),
                '[\s,;|/<>"()\[\]]+'
            )
        end as pieces
    from fields
),

pieces as (
    select record_key, is_common, generate_subscripts(pieces, 1) as position, unnest(pieces) as email_raw
    from separated
),

in_one_script as (
    select
        *,
        case when is_common then email_raw else {{ latin_if_twins("trim(email_raw, '.:''')") }} end as candidate
    from pieces
    where is_common or trim(email_raw, '.:-') <> ''
),

emails as (
    select
        record_key, position, email_raw,
        case when is_common or {{ is_deliverable_email('candidate') }} then candidate end as address
    from in_one_script
)

select * from emails
