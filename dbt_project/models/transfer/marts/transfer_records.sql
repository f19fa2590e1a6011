-- What is to be done with every record, in the order of sending.
with fates as (
    select * from {{ ref('int_transfer__fates') }}
),

payloads as (
    select * from {{ ref('int_transfer__payloads') }}
),

ordered as (
    select
        fates.entity, fates.source_id, fates.action, fates.outcome, fates.detail,
        fates.target_id,
        payloads.fields::json as fields, payloads.second_pass::json as second_pass,
        fates.created_at at time zone 'UTC' as created_at,
        row_number() over (
            partition by fates.entity
            order by fates.created_at nulls last, try_cast(fates.source_id as bigint) nulls last, fates.source_id
        ) as position
    from fates
    left join payloads using (entity, source_id)
)

select * from ordered
