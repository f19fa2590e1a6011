-- What waits for a person, in the portal that was published to last: fields that a manager changed, records that
-- several cards could be, parts that the portal refused, cards that somebody deleted.
with conflicts as (
    select * from {{ source('sync', 'conflicts') }}
),

duplicates as (
    select * from {{ source('sync', 'adoption_duplicates') }}
),

dead_letters as (
    select * from {{ source('sync', 'dead_letters') }}
),

deletions as (
    select * from {{ source('sync', 'deletions') }}
),

published_to_last as (
    select * from {{ ref('portal_published_to_last') }}
),

ledger as (
    select portal, entity, origin_id, bitrix_id from {{ source('sync', 'ledger') }}
),

waiting as (
    select
        portal, 'conflict' as kind, entity, origin_id, field, wanted as ours, in_portal,
        null::varchar as error, null::bigint[] as other_ids, noticed_at as since, null::timestamp as next_at
    from conflicts
    union all
    select portal, 'duplicate', entity, origin_id, found_by, null, null, null, bitrix_ids, noticed_at, null
    from duplicates
    union all
    select
        portal, 'refused', entity, origin_id, null, null, null, concat_ws(': ', error, nullif(error_description, '')),
        null, last_at, next_at
    from dead_letters
    union all
    select portal, 'deleted', entity, origin_id, null, null, null, null, null, noticed_at, null
    from deletions
    where not is_wanted_again
),

with_cards as ( -- a detail is seen on the card of its company, a link on that of its contact
    select
        waiting.*,
        case
            when entity in ('requisite', 'bank_detail', 'address') then 'company'
            when entity = 'company_contact' then 'contact'
            else entity
        end as card_entity,
        split_part(origin_id, '/', 1) as card_origin_id
    from waiting
    semi join published_to_last using (portal)
),

names as (
    select 'company' as card_entity, company_id as card_origin_id, title as name from {{ ref('crm_companies') }}
    union all
    select 'contact', contact_id, concat_ws(' ', card_last_name, first_name, second_name) from {{ ref('crm_contacts') }}
    union all
    select 'deal', deal_id, title from {{ ref('crm_deals') }}
),

explained as (
    select
        kind, with_cards.entity, with_cards.origin_id, card_entity, name, field, ours, in_portal, error,
        case
            when kind = 'deleted' then [] -- there is no card to look at
            when other_ids is not null then other_ids
            when bitrix_id is not null then [bitrix_id]
            else []
        end as card_ids,
        portal_url, since, next_at
    from with_cards
    inner join published_to_last using (portal)
    left join names using (card_entity, card_origin_id)
    left join ledger
        on
            ledger.portal = with_cards.portal and ledger.entity = card_entity
            and ledger.origin_id = card_origin_id
),

with_addresses as (
    select
        * exclude (portal_url),
        list_transform(card_ids, lambda id: {{ card_url('portal_url', 'card_entity', 'id') }}) as urls
    from explained
)

select * from with_addresses
