-- Cards of ours in the portal that was published to last, and where a browser finds each.
with portals as (
    select * from {{ source('sync', 'portals') }} where portal not like '% (until %' -- those that were put aside
),

ledger as (
    select * from {{ source('sync', 'ledger') }} where entity in ('company', 'contact', 'deal')
),

deletions as (
    select portal, entity, origin_id, noticed_at from {{ source('sync', 'deletions') }}
),

published_to_last as (
    select portal, url as portal_url from portals
    qualify row_number() over (order by last_seen_at desc, portal) = 1
),

cards as (
    select
        portal, entity, origin_id, bitrix_id,
        {{ card_url('portal_url', 'entity', 'bitrix_id') }} as url,
        is_adopted,
        deletions.noticed_at is not null as is_deleted,
        known_since, synced_at
    from ledger
    inner join published_to_last using (portal)
    left join deletions using (portal, entity, origin_id)
)

select * from cards
