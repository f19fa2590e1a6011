-- The cards of both portals by what they are counted by, in terms of the box: day of creation (in Moscow), stage,
-- funnel, assignee, source, currency and sum. `is_apart`: its difference is explained, so it is counted apart.
{%- set fields = ['createdTime', 'stageId', 'categoryId', 'assignedById', 'sourceId', 'currencyId', 'opportunity'] %}
with texts as (
    select
        side, entity, source_id as card_key,
        {{ transfer_texts('payload', fields) }} as texts
    from {{ ref('stg_portals__records') }}
    where side in ('cloud', 'box') and entity in ('company', 'contact', 'lead', 'deal')
        and {{ transfer_is_chosen('entity') }}
),

cards as (
    select
        side, entity, card_key,
        (try_cast(texts[1] as timestamptz) at time zone 'Europe/Moscow')::date as created_on,
        case entity when 'lead' then 'status:STATUS' when 'deal' then 'stage' end as stage_kind,
        texts[2] as stage, case entity when 'deal' then texts[3] end as funnel,
        texts[4] as assignee, case when entity <> 'company' then texts[5] end as source,
        texts[6] as currency, try_cast(texts[7] as decimal(24, 4)) as amount
    from texts
),

translations as ( -- on the side of the box there is nothing to translate
    select 'cloud' as side, kind, source_value, target_value
    from {{ ref('int_transfer__references') }}
    where kind in ('stage', 'status:STATUS', 'funnel', 'user', 'status:SOURCE', 'currency')
),

explained as (
    select entity, source_id, target_id, difference
    from {{ ref('transfer_differences') }}
    where difference <> 'equal' and is_explained
),

apart as (
    select 'cloud' as side, entity, source_id as card_key from explained
    where source_id is not null
    union all
    select 'box' as side, entity, target_id::varchar from explained
    where difference <> 'missing'
),

counted_by as (
    select
        cards.side, cards.entity, cards.card_key,
        cards.created_on,
        coalesce(stages.target_value, cards.stage) as stage,
        coalesce(funnels.target_value, cards.funnel) as funnel,
        coalesce(assignees.target_value, cards.assignee) as assignee,
        coalesce(sources.target_value, cards.source) as source,
        coalesce(currencies.target_value, cards.currency) as currency,
        cards.amount,
        apart.card_key is not null as is_apart
    from cards
    left join translations as stages
        on stages.side = cards.side and stages.kind = cards.stage_kind and stages.source_value = cards.stage
    left join translations as funnels
        on funnels.side = cards.side and funnels.kind = 'funnel' and funnels.source_value = cards.funnel
    left join translations as assignees
        on assignees.side = cards.side and assignees.kind = 'user' and assignees.source_value = cards.assignee
    left join translations as sources
        on sources.side = cards.side and sources.kind = 'status:SOURCE' and sources.source_value = cards.source
    left join translations as currencies
        on currencies.side = cards.side and currencies.kind = 'currency' and currencies.source_value = cards.currency
    left join apart on apart.side = cards.side and apart.entity = cards.entity and apart.card_key = cards.card_key
)

select * from counted_by
