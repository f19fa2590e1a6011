-- Where every source company went: into a published golden record, or the first reason that keeps it out.
with reasoned as (
    select
        companies.source, companies.source_company_id,
        companies.inn,
        case
            when companies.is_deleted then 'deleted'
            when is_inn_missing then 'missing_inn'
            when not is_inn_valid then 'invalid_inn'
            when not is_in_period then 'outside_period'
            when verdicts.inn is null then 'awaiting_verdict'
            when not is_found then 'unknown_to_registry'
            when not is_active then 'not_active'
        end as reason
    from {{ ref('int_companies__validated') }} as companies
    inner join {{ ref('int_companies__activity') }} as activity using (source, source_company_id)
    left join {{ ref('int_companies__verdicts') }} as verdicts on verdicts.inn = companies.inn
)

select
    source, source_company_id,
    case when reason is null then company_id end as company_id,
    reason
from reasoned
left join {{ ref('int_companies__clustered') }} using (source, source_company_id)
