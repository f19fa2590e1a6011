-- Where every source company went: into a published golden record, or the first reason that keeps it out. Which of
-- several reasons comes first, and what each means, is in the seed rejection_reasons.
with companies as (
    select * from {{ ref('int_companies__validated') }}
),

activity as (
    select * from {{ ref('int_companies__activity') }}
),

verdicts as (
    select * from {{ ref('int_companies__verdicts') }}
),

clusters as (
    select * from {{ ref('int_companies__clustered') }}
),

reasons as (
    select list(reason order by precedence) as precedence
    from {{ ref('rejection_reasons') }}
    where entity = 'company'
),

judged as (
    select
        companies.source, companies.record_key, source_company_id,
        clusters.company_id,
        [
            case when is_deleted then 'deleted' end,
            case when is_inn_missing then 'missing_inn' end,
            case when not is_inn_valid then 'invalid_inn' end,
            case when not is_in_period then 'outside_period' end,
            case when verdicts.inn is null then 'awaiting_verdict' end,
            case when not is_found then 'unknown_to_registry' end,
            case when not is_active then 'not_active' end
        ] as grounds
    from companies
    inner join activity using (record_key)
    left join verdicts on verdicts.inn = companies.inn
    left join clusters on clusters.record_key = companies.record_key
),

reasoned as (
    select *, {{ first_reason('grounds', 'precedence') }} as reason
    from judged
    cross join reasons
),

outcomes as (
    select
        source, record_key,
        source_company_id as source_id,
        case when reason is null then company_id end as company_id,
        reason
    from reasoned
)

select * from outcomes
