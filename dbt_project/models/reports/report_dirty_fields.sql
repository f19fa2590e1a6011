-- How dirty each field of each shop is now, and how dirty it was a month ago (before that is known, at the first full
-- pass).
with fields as (
    select * from {{ ref('dirty_fields_by_shop') }}
),

days as (
    select * from {{ source('ops', 'dirty_fields') }}
),

earlier as (
    select
        source, field,
        coalesce(max(day) filter (day <= {{ moscow_day(utc_now()) }} - interval 1 month), min(day)) as day
    from days
    group by all
),

compared as (
    select
        source, field,
        fields.record_count, fields.filled_count, fields.dirty_count, dirty_share,
        days.dirty_count / nullif(days.filled_count, 0) as earlier_share,
        earlier.day as earlier_on,
        example
    from fields
    left join earlier using (source, field)
    left join days using (source, field, day)
)

select * from compared
