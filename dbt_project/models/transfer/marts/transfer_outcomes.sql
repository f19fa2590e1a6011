-- Where every record of the cloud went, or will when what is planned has been sent.
with outcomes as (
    select entity, source_id, target_id, outcome, detail from {{ ref('int_transfer__fates') }}
)

select * from outcomes
