-- Records that the cloud has no more and on which something hangs in the box that stays: what its people have made
-- there, or what the cloud has by now on another card, as after a merge. With them it would go, too.
with deleted as (
    select entity, source_id, box_key, is_changed_in_box from {{ ref('int_transfer__deletions') }}
),

addresses_of_the_move as ( -- they have no ids of their own, so the map of ids does not know them
    select
        'address' as entity,
        array_to_string([split_part(sent.source_id, ':', 1), split_part(sent.source_id, ':', 2), owners.box_key], ':')
            as box_key
    from {{ ref('stg_transfer__ledger') }} as sent
    inner join deleted as owners
        on owners.entity = {{ transfer_entity_of_type("split_part(sent.source_id, ':', 2)") }}
        and owners.source_id = split_part(sent.source_id, ':', 3)
    where sent.entity = 'address'
),

going as (
    select entity, box_key from deleted where not is_changed_in_box
    union all
    select * from addresses_of_the_move
),

records as (
    select * from {{ ref('stg_portals__records') }} where side in ('box', 'baseline') and exists (from deleted)
),

parts as (
    select
        entity, source_id as box_key,
        {{ transfer_owner_entity() }} as owner_entity,
        {{ transfer_owner_key() }} as owner_key
    from records
    where side = 'box' and entity in ('activity', 'requisite', 'bank_detail', 'address')
),

cards as ( -- that only the box has
    select
        entity, replace(source_id, 'box:', '') as box_key,
        to_entity as owner_entity, replace(to_source_id, 'box:', '') as owner_key
    from {{ ref('int_transfer__links') }}
    where is_in_box and entity in ('company', 'contact', 'lead', 'deal')
        and starts_with(source_id, 'box:') and starts_with(to_source_id, 'box:')
),

comments_there as (
    select
        side, source_id as owner,
        unnest((payload -> '$.parts')::json[]) ->> '$.ID' as comment_id
    from records
    where entity = 'comments' and source_id in (select entity || ':' || box_key from deleted)
),

written_in_box as (
    select
        'comment' as entity, comment_id as box_key,
        split_part(owner, ':', 1) as owner_entity, split_part(owner, ':', 2) as owner_key
    from comments_there
    where side = 'box'
        and (owner, comment_id) not in (
            select (restored.owner, restored.comment_id) from comments_there as restored
            where restored.side = 'baseline'
        )
        and comment_id not in (
            select target_id from {{ ref('stg_transfer__id_map') }}
            where entity in ('comment', 'activity_comment', 'activity_file', 'names')
        )
),

hanging as (
    select * from parts
    union all
    select * from cards
    union all
    select * from written_in_box
),

staying as (
    select hanging.* from hanging
    anti join going using (entity, box_key)
),

needed as (
    select deleted.entity, deleted.box_key
    from deleted
    inner join staying on staying.owner_entity = deleted.entity and staying.owner_key = deleted.box_key
),

with_their_owners as ( -- a requisite that stays keeps its card
    select entity, box_key from needed
    union
    select parts.owner_entity, parts.owner_key
    from parts
    semi join needed using (entity, box_key)
)

select * from with_their_owners
