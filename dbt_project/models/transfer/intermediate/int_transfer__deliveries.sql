-- Fields of candidates that were sent to the box, and whether the cloud still says what it said in the reading that
-- they were sent from last: what the box has otherwise then is the work of its people. What is told only of a record
-- that is there (the lead of a contact or a company, that an e-mail is completed, or came in) was not sent with the
-- record: until it is told, what the record was made with stands there, and is nobody's work (`is_as_made`). Where
-- people of the box have changed the record since, another value than was sent is theirs (`is_of_people`).
with sendings as (
    select * from {{ ref('stg_transfer__delivered') }}
),

cells as (
    select entity, source_id, field, sent, side, version, value from {{ ref('int_transfer__cells') }}
    where side in ('cloud', 'past')
),

readings as (
    select entity, source_id, field, side, version, canonical from {{ ref('int_transfer__values') }}
    where side in ('cloud', 'past', 'box')
),

told as (
    select split_part(source_id, '/', 1) as entity, split_part(source_id, '/', 2) as source_id
    from {{ ref('stg_transfer__ledger') }}
    where entity = 'second_pass'
),

letters as (
    select entity, source_id from cells
    where entity = 'activity' and side = 'cloud' and field = 'TYPE_ID' and value ->> '$' = '4'
),

untold as (
    select cells.entity, cells.source_id, cells.field
    from cells
    inner join {{ ref('int_transfer__candidates') }} as candidates using (entity, source_id)
    anti join told using (entity, source_id)
    where cells.side = 'cloud' and candidates.proof = 'created_by_us'
        and (
            cells.sent = 'second_pass'
            or (cells.field in ('COMPLETED', 'DIRECTION') and (cells.entity, cells.source_id) in (
                select (entity, source_id) from letters
            ))
        )
),

delivered as (
    select cells.entity, cells.source_id, cells.field, max(sendings.snapshot_id) as snapshot_id
    from cells
    inner join sendings
        on sendings.entity = cells.entity and sendings.source_id = cells.source_id
        and sendings.field in ('', cells.field)
    where cells.side = 'cloud'
        and not (sendings.field = '' and (cells.entity, cells.source_id, cells.field) in (
            select (entity, source_id, field) from untold
        ))
    group by all
),

said_since as ( -- what the cloud said in that reading or a later one, before what it says now
    select delivered.*, said.canonical
    from delivered
    inner join cells
        on cells.side = 'past' and cells.entity = delivered.entity and cells.source_id = delivered.source_id
        and cells.field = delivered.field and cells.version > delivered.snapshot_id
    left join readings as said
        on said.side = 'past' and said.version = cells.version and said.entity = cells.entity
        and said.source_id = cells.source_id and said.field = cells.field
),

changed as (
    select distinct said_since.entity, said_since.source_id, said_since.field
    from said_since
    left join readings as now_said
        on now_said.side = 'cloud' and now_said.entity = said_since.entity
        and now_said.source_id = said_since.source_id and now_said.field = said_since.field
    where now_said.canonical is distinct from said_since.canonical
),

deliveries as (
    select
        delivered.entity, delivered.source_id, delivered.field,
        changed.field is null as is_unchanged, false as is_as_made,
        changed.field is null and worked_on.source_id is not null as is_of_people
    from delivered
    left join changed using (entity, source_id, field)
    left join {{ ref('int_transfer__worked_on') }} as worked_on using (entity, source_id)
    union all
    select
        untold.entity, untold.source_id, untold.field,
        null, coalesce(in_box.canonical, 'N') in ('N', '2'), false
    from untold
    anti join delivered using (entity, source_id, field)
    left join readings as in_box
        on in_box.side = 'box' and in_box.entity = untold.entity
        and in_box.source_id = untold.source_id and in_box.field = untold.field
)

select * from deliveries
