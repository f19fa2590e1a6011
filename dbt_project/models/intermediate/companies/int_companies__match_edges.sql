-- Why source records are one company: each record of an INN is tied to the one created first, with the rule that ties it.
with records as (
    select
        *,
        row_number() over (partition by inn order by created_at nulls last, source, source_company_id) = 1 as is_anchor
    from {{ ref('int_companies__validated') }}
    where is_inn_valid
)

select
    anchors.source as anchor_source, anchors.source_company_id as anchor_source_company_id,
    records.source, records.source_company_id,
    records.inn,
    case
        when records.is_inn_padded or anchors.is_inn_padded then 'same_inn_with_its_zero_restored'
        when records.kpp <> anchors.kpp then 'same_inn_other_kpp' -- a branch
        else 'same_inn'
    end as rule
from records
inner join records as anchors on anchors.inn = records.inn and anchors.is_anchor
where not records.is_anchor
