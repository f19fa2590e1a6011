-- One golden record explained: every source record in it, the rule that tied it, and what was typed. Put an INN in.
select company_id, records.source, records.source_company_id, coalesce(rule, 'created first') as rule,
    records.company_name_raw, records.inn_raw, records.kpp_raw, records.changed_at
from {{ ref('int_companies__validated') }} as records
inner join {{ ref('int_companies__clustered') }} using (source, source_company_id)
left join {{ ref('int_companies__match_edges') }} as edges using (source, source_company_id)
where records.inn = '7707083893'
order by records.created_at
