-- Users of the cloud who have nobody of their own in the box and are named by a card, one row a card and a user: where
-- the fallback stands for them there, a comment keeps the name. Who wrote it and when does not matter: a push that was
-- killed after the card and before the comment has it told again.
with lost as (
    select user_id, user_name from {{ ref('int_transfer__users') }} where proof = 'fallback'
),

cells as (
    select entity, source_id, field, value from {{ ref('int_transfer__cells') }}
    where side = 'cloud' and entity in ('lead', 'deal', 'contact', 'company')
),

naming as (
    select cells.entity, cells.source_id, cells.field, unnest({{ transfer_elements('cells.value') }}) as user_id
    from cells
    inner join {{ ref('int_transfer__fields') }} as fields using (entity, field)
    where fields.kind = 'user' and fields.sent <> 'never'
),

made as ( -- with all their fields
    select entity, source_id from {{ ref('int_transfer__fates') }} where action = 'create'
    union
    select entity, source_id from {{ ref('int_transfer__identities') }} where proof = 'created_by_us' and is_in_box
),

standing as (
    select naming.* from naming
    semi join made using (entity, source_id)
    union
    select naming.* from naming
    inner join {{ ref('int_transfer__comparison') }} as compared using (entity, source_id, field)
    where compared.is_updated or compared.verdict = 'equal'
),

named as (
    select
        standing.entity || ':' || standing.source_id || ':' || lost.user_id as source_id,
        lost.user_name,
        any_value(created.value) as created,
        list_sort(list(distinct standing.field)) as fields
    from standing
    inner join lost using (user_id)
    left join cells as created
        on created.entity = standing.entity
        and created.source_id = standing.source_id and created.field = 'createdTime'
    group by standing.entity, standing.source_id, lost.user_id, lost.user_name
),

with_targets as (
    select
        named.source_id,
        written.target_id,
        try_cast(named.created ->> '$' as timestamptz) as created_at,
        json_object('CREATED', named.created, 'AUTHOR', named.user_name, 'NAMED_IN', named.fields) as fields
    from named
    left join {{ ref('stg_transfer__id_map') }} as written
        on written.entity = 'names' and written.source_id = named.source_id
)

select * from with_targets
