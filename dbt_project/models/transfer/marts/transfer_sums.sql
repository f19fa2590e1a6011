-- Sums of deals and leads per currency and stage, in both portals side by side, in terms of the box.
with cards as (
    select * from {{ ref('int_transfer__cards') }} where entity in ('deal', 'lead')
),

stages as (
    select
        case kind when 'stage' then 'deal' else 'lead' end as entity,
        target_value as stage, min(entry_name) as stage_name
    from {{ ref('int_transfer__dictionaries') }}
    where kind in ('stage', 'status:STATUS')
    group by all
),

sums as (
    select
        entity,
        coalesce(currency, '') as currency, coalesce(stage, '') as stage,
        coalesce(sum(amount) filter (side = 'cloud'), 0)::decimal(38, 4) as cloud_sum,
        coalesce(sum(amount) filter (side = 'box'), 0)::decimal(38, 4) as box_sum,
        coalesce(sum(amount) filter (side = 'cloud' and is_apart), 0)::decimal(38, 4) as cloud_apart_sum,
        coalesce(sum(amount) filter (side = 'box' and is_apart), 0)::decimal(38, 4) as box_apart_sum
    from cards
    group by all
),

named as (
    select
        sums.entity, sums.currency, sums.stage,
        stages.stage_name,
        cloud_sum, box_sum, cloud_apart_sum, box_apart_sum,
        cloud_sum - cloud_apart_sum = box_sum - box_apart_sum as is_equal
    from sums
    left join stages using (entity, stage)
)

select * from named
