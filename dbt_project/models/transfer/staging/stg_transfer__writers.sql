-- The user of the very box as whom the move writes there.
with boxes as (
    select * from {{ source('transfer', 'boxes') }}
),

marks as (
    select portal, mark from {{ source('sync', 'portals') }}
),

of_the_box as (
    select boxes.user_id
    from boxes
    semi join marks using (portal, mark)
    where boxes.user_id is not null
        and boxes.portal in (select host from {{ ref('stg_portals__snapshots') }} where side = 'box')
)

select * from of_the_box
