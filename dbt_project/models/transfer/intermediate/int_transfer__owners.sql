-- What each part hangs on: requisites and activities on a card, bank details on a requisite, addresses, product rows,
-- chosen requisites and comments on their owner by their key. Cards hang on nothing and are not here.
with identities as (
    select * from {{ ref('int_transfer__identities') }}
),

named_in_the_record as (
    select
        entity, source_id,
        {{ transfer_owner_entity() }} as owner_entity,
        {{ transfer_owner_key() }} as owner_id,
        -- an activity of an application, which no webhook may make
        entity = 'activity' and not {{ transfer_activity_can_be_made('payload') }} as is_comment
    from {{ ref('stg_portals__records') }}
    where side = 'cloud' and entity in ('activity', 'requisite', 'bank_detail')
),

named_by_the_key as (
    select entity, source_id, owner_entity, owner_id, false as is_comment
    from identities
    where entity in ('address', 'product_rows', 'requisite_link', 'comments')
),

parts as (
    select * from named_in_the_record
    union all
    select * from named_by_the_key
),

placed as (
    select
        parts.entity, parts.source_id, parts.owner_entity, parts.owner_id,
        parts.is_comment,
        owners.source_id is not null
            and ({{ transfer_is_chosen('parts.owner_entity') }} or owners.is_in_box) as is_owner_there,
        coalesce(owners.proof is not null and not owners.is_in_box, false) as is_owner_deleted_in_box
    from parts
    left join identities as owners on owners.entity = parts.owner_entity and owners.source_id = parts.owner_id
),

chained as ( -- a bank detail hangs on a requisite, and with it on a card
    select
        placed.entity, placed.source_id, placed.owner_entity, placed.owner_id,
        placed.is_comment,
        placed.is_owner_there and coalesce(owners.is_owner_there, true) as is_owner_there,
        placed.is_owner_deleted_in_box or coalesce(owners.is_owner_deleted_in_box, false) as is_owner_deleted_in_box
    from placed
    left join placed as owners on owners.entity = placed.owner_entity and owners.source_id = placed.owner_id
)

select * from chained
