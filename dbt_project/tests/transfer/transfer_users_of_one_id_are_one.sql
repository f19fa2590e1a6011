-- After a restore a user of the cloud whose id has another e-mail in the box, and whom nothing else proves: the same
-- person with a new e-mail, or another one. A line in SVOD_TRANSFER_USERS decides it.
select user_id, user_name, target_id, proof
from {{ ref('int_transfer__users') }}
where is_id_of_another and not is_proven
    and exists (select 1 from {{ ref('stg_portals__snapshots') }} where side = 'baseline')
