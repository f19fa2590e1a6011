-- Cards of ours in the portal that was published to last, and where a browser finds each.
with published_to_last as (
    select * from {{ ref('portal_published_to_last') }}
),

ledger as (
    select * from {{ source('sync', 'ledger') }} where entity in ('company', 'contact', 'deal')
),

deletions as (
    select portal, entity, origin_id, noticed_at from {{ source('sync', 'deletions') }}
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
