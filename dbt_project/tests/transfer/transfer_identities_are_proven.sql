-- Of the cards that the cloud had when the backup was made, at least 99.9 % are in the restored box with their id and
-- time of creation, and some of every kind; otherwise the restore gave out other ids, left a kind out, or is of another
-- portal, and nothing may be written.
with proof as (
    select * from {{ ref('int_transfer__restore_proof') }}
),

whole as (
    select sum(proven_count) < 0.999 * sum(expected_count) as is_too_little from proof
)

select proof.*
from proof, whole
where whole.is_too_little or proof.proven_count = 0
