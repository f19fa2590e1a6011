-- Lines of SVOD_TRANSFER_USERS that map nobody: a user whom the cloud or the box does not have, or who is named twice.
-- Their cards would silently go to the fallback user.
with lines as (
    select *, count(*) over (partition by user_id) as times_named
    from {{ ref('int_transfer__users_by_hand') }}
),

users as (
    select side, source_id from {{ ref('stg_portals__records') }} where entity = 'user'
)

select *
from lines
where user_id not in (select source_id from users where side = 'cloud')
    or target_id not in (select source_id from users where side = 'box')
    or times_named > 1
