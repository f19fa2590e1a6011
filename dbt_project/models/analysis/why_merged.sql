-- Every pair of source records that are one company or one person: by which rule, and on what evidence.
with company_edges as (
    select anchor_key as left_key, record_key as right_key, rule, inn as evidence, null::varchar as within
    from {{ ref('int_companies__match_edges') }}
),

contact_edges as (
    select left_key, right_key, rule, match_key as evidence, nullif(within, '') as within
    from {{ ref('int_contacts__match_edges') }}
),

company_names as (
    select record_key, company_name_raw as name from {{ ref('int_companies__cleaned') }}
),

contact_names as (
    select record_key, contact_name_raw as name from {{ ref('int_contacts__unioned') }}
),

clusters as (
    select record_key, company_id as golden_id from {{ ref('int_companies__clustered') }}
),

people as (
    select record_key, contact_id as golden_id from {{ ref('int_contacts__outcomes') }}
),

rules as (
    select * from {{ ref('match_rules') }}
),

named as (
    select 'company' as entity, golden_id, company_edges.*, lefts.name as left_name, rights.name as right_name
    from company_edges
    left join clusters on clusters.record_key = left_key
    left join company_names as lefts on lefts.record_key = left_key
    left join company_names as rights on rights.record_key = right_key
    union all
    select 'contact' as entity, golden_id, contact_edges.*, lefts.name as left_name, rights.name as right_name
    from contact_edges
    left join people on people.record_key = left_key
    left join contact_names as lefts on lefts.record_key = left_key
    left join contact_names as rights on rights.record_key = right_key
),

explained as (
    select
        entity, golden_id, left_key, left_name, right_key, right_name,
        rule, evidence, within,
        text_ru as rule_ru, text_en as rule_en
    from named
    left join rules using (entity, rule)
)

select * from explained
