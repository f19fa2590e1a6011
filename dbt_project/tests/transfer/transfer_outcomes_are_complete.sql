-- Every record of the cloud has an outcome.
with records as (
    select entity, source_id
    from {{ ref('stg_portals__records') }}
    where side = 'cloud' and {{ transfer_is_record('entity') }}
),

without_outcome as (
    select * from records
    anti join {{ ref('transfer_outcomes') }} using (entity, source_id)
)

select * from without_outcome
