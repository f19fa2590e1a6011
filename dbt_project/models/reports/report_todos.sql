-- What a person has to decide on a card of the portal that was published to last, one row each. Of the kinds that
-- SVOD_TODOS names the publisher makes a to-do there, and completes it when the row is gone.
with published_to_last as (
    select portal from {{ ref('portal_published_to_last') }}
),

cards as (
    select * from {{ ref('cards') }}
),

listed as ( -- a pair of cards that the portal could not join is told below, as every other pair
    select
        case kind when 'conflict' then 'conflicts' else 'duplicates' end as kind,
        case
            when kind = 'conflict' then case field when '*' then 'left' else 'held_back' end
            when entity <> 'requisite' then 'several_cards'
            when starts_with(field, 'RQ_INN') then 'inn_twice'
            else 'several_requisites'
        end as reason,
        entity, origin_id,
        case kind when 'conflict' then field end as field,
        case kind when 'conflict' then ours else nullif(regexp_extract(field, '[0-9]{10,12}'), '') end as ours,
        in_portal, card_entity,
        card_ids[1] as card_id, -- ours, where there is one: the others are a stranger's
        urls[2:] as other_urls,
        since
    from {{ ref('report_waiting') }}
    where kind in ('conflict', 'duplicate') and field <> 'merge' and len(card_ids) > 0
),

merged as (
    select 'company' as entity, company_id as origin_id, merged_into from {{ ref('departed_companies') }}
    where state = 'merged'
    union all
    select 'contact', contact_id, merged_into from {{ ref('departed_contacts') }}
    where state = 'merged'
),

pairs as ( -- two cards that are one record by now
    select
        'duplicates' as kind, 'one_record' as reason, merged.entity, merged.origin_id,
        null as field, null as ours, null as in_portal,
        merged.entity as card_entity, survivor.bitrix_id as card_id, [card.url] as other_urls, card.synced_at as since
    from merged
    inner join cards as card on card.entity = merged.entity and card.origin_id = merged.origin_id
    inner join cards as survivor on survivor.entity = merged.entity and survivor.origin_id = merged.merged_into
    where card.bitrix_id <> survivor.bitrix_id and not card.is_deleted
),

decisions as (
    select * from listed
    union all by name
    select * from pairs
),

keyed as (
    select
        left(md5(concat_ws('/', kind, case reason when 'one_record' then reason end, entity, origin_id, field)), 12)
            as todo_key,
        portal, decisions.*
    from decisions
    cross join published_to_last
),

on_cards_there as (
    select keyed.* from keyed
    anti join cards on cards.is_deleted and cards.entity = keyed.card_entity and cards.bitrix_id = keyed.card_id
)

select * from on_cards_there
