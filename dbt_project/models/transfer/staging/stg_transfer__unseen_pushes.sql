-- Times in which the very box was written to, as that user, by pushes that this warehouse knows nothing of.
with pushes as (
    select * from {{ source('transfer', 'unseen_pushes') }}
),

marks as (
    select portal, mark from {{ source('sync', 'portals') }}
),

of_the_box as (
    select pushes.user_id, pushes.since, pushes.until
    from pushes
    semi join marks using (portal, mark)
    where pushes.portal in (select host from {{ ref('stg_portals__snapshots') }} where side = 'box')
)

select * from of_the_box
