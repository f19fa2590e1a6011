-- One golden record explained: every source record in it, the rule that tied it, and what was entered. Put an INN in.
with companies as (
    select * from {{ ref('int_companies__validated') }} where inn = '7707083893'
),

clusters as (
    select record_key, company_id from {{ ref('int_companies__clustered') }}
),

edges as (
    select record_key, rule from {{ ref('int_companies__match_edges') }}
),

explained as (
    select
        company_id, companies.record_key,
        coalesce(rule, 'created first') as rule,
        company_name_raw, inn_raw, kpp_raw,
        changed_at
    from companies
    inner join clusters using (record_key)
    left join edges using (record_key)
    order by created_at
)

select * from explained
