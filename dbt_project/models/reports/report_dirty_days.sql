-- How dirty each field of each shop was on each day with a full pass.
with days as (
    select * from {{ source('ops', 'dirty_fields') }}
),

shares as (
    select day, source, field, filled_count, dirty_count, dirty_count / nullif(filled_count, 0) as dirty_share
    from days
)

select * from shares
