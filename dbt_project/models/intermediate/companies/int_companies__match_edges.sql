-- Why source records are one company: each record of an INN is tied to the one created first, with the rule that ties
-- it.
with companies as (
    select * from {{ ref('int_companies__validated') }}
),

ranked as (
    select
        *,
        row_number() over (partition by inn order by created_at nulls last, source, source_company_id) = 1 as is_anchor
    from companies
    where is_inn_valid
),

anchors as (
    select * from ranked where is_anchor
),

edges as (
    select
        anchors.record_key as anchor_key,
        others.record_key,
        others.inn,
        case
            when others.is_inn_padded or anchors.is_inn_padded then 'same_inn_with_its_zero_restored'
            when others.kpp <> anchors.kpp then 'same_inn_other_kpp' -- a branch
            else 'same_inn'
        end as rule
    from ranked as others
    inner join anchors using (inn)
    where not others.is_anchor
)

select * from edges
