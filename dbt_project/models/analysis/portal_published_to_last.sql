-- The portal that was published to last, none where nothing was; never one that was put aside (publish/portals.py).
with portals as (
    select * from {{ source('sync', 'portals') }} where portal not like '% (until %'
),

newest as (
    select portal, url as portal_url, last_seen_at from portals
    qualify row_number() over (order by last_seen_at desc, portal) = 1
)

select * from newest
