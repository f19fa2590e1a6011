-- Every text of the sources that is not plain Russian, once, and what a right reader would have typed: the dictionary
-- that cleaned names, addresses and posts are looked up in. Plain text is not in it, and stays as it is.
with companies as (
    select * from {{ ref('int_companies__unioned') }}
),

contacts as (
    select * from {{ ref('int_contacts__unioned') }}
),

entered as (
    select company_name_raw as text_raw from companies
    union all
    select legal_address_raw from companies
    union all
    select bank_name_raw from companies
    union all
    select contact_name_raw from contacts
    union all
    select post_raw from contacts
),

doubtful as (
    select distinct text_raw, text_raw as text
    from entered
    where not {{ is_plain_russian('text_raw') }}
),

decoded as (
    select * replace ({{ rightly_decoded('text') }} as text) from doubtful
),

without_entities as (
    select * replace ({{ without_entities('text') }} as text) from decoded
),

of_plain_characters as (
    select * replace ({{ plain_characters('text') }} as text) from without_entities
),

in_one_script as (
    select * replace ({{ mixed_words_in_one_script('text') }} as text) from of_plain_characters
)

select * from in_one_script
