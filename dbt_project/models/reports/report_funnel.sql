-- From source records to the CRM: by shop and kind, how many records went in, or stayed out for which reason.
with outcomes as (
    select entity, source, record_key, golden_id, reason from {{ ref('int_records__outcomes') }}
    union all
    select 'order', source, record_key, case when reason is null then record_key end, reason
    from {{ ref('int_orders__outcomes') }}
),

names as (
    select 'company' as entity, record_key, company_name as name from {{ ref('int_companies__cleaned') }}
    union all
    select
        'contact', record_key,
        case when regexp_matches(contact_name_raw, '[0-9A-Za-zА-Яа-яЁё]') then contact_name_raw end
    from {{ ref('int_contacts__unioned') }}
    union all
    select 'order', record_key, order_number_raw from {{ ref('int_orders__unioned') }}
),

cards as (
    select case entity when 'deal' then 'order' else entity end as entity, origin_id as golden_id
    from {{ ref('cards') }}
    where not is_deleted
),

reasons as (
    select * from {{ ref('rejection_reasons') }}
),

counted as (
    select entity, source, reason, count(*) as record_count, min(record_key, 3) as example_keys
    from outcomes
    group by all
),

examples as (
    select entity, source, reason, list(coalesce(name, record_key) order by record_key) as examples
    from (select entity, source, reason, unnest(example_keys) as record_key from counted where reason is not null)
    left join names using (entity, record_key)
    group by all
),

golden as ( -- a record that two shops have counts for both
    select
        entity, source,
        count(distinct golden_id) as golden_count,
        count(distinct golden_id) filter (cards.golden_id is not null) as card_count
    from outcomes
    left join cards using (entity, golden_id)
    where golden_id is not null
    group by all
),

funnel as (
    select
        counted.entity, counted.source,
        coalesce(precedence, 0) as place,
        counted.reason, text_ru as reason_ru, text_en as reason_en,
        record_count,
        case when counted.reason is null then golden_count end as golden_count,
        case when counted.reason is null then card_count end as card_count,
        coalesce(examples, []) as examples
    from counted
    left join reasons using (entity, reason)
    left join examples using (entity, source, reason)
    left join golden using (entity, source)
)

select * from funnel
