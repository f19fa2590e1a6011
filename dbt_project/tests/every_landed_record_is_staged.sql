-- Nothing is lost on the way from raw: every company and contact that was ever landed has its row in staging.
-- Asked after the marts, for what is tested before them waits: depends_on {{ ref('xref_contacts') }}
with landed as (
    select 'company' as entity, 'shop_a:' || source_key as record_key from {{ source('shop_a', 'shop_a__clients') }}
    union all
    select 'company', 'shop_b:' || company_uid from {{ ref('stg_shop_b__versions') }}
    union all
    select 'contact', 'shop_a:' || (payload ->> '$.id') from {{ source('shop_a', 'shop_a__client_contacts') }}
    union all
    select 'contact', 'shop_b:' || unnest(json_extract_string(payload, '$.persons[*].uid'))
    from {{ source('shop_b', 'shop_b__companies') }}
    union all
    select 'contact', 'shop_b:' || unnest(json_extract_string(payload, '$.company.persons[*].uid'))
    from {{ source('shop_b', 'shop_b__events') }}
),

staged as (
    select 'company' as entity, record_key from {{ ref('int_companies__unioned') }}
    union all
    select 'contact', record_key from {{ ref('int_contacts__unioned') }}
),

lost as (
    select distinct entity, record_key
    from landed
    anti join staged using (entity, record_key)
    where record_key is not null
)

select * from lost
