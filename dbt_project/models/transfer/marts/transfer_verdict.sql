-- Whether the move is complete, in one row: exact is a comparison without any difference that nobody explained.
with sides as (
    select * from {{ ref('stg_portals__snapshots') }}
),

read as (
    select
        max(host) filter (side = 'cloud') as cloud_host,
        max(host) filter (side = 'box') as box_host,
        max(completed_at) filter (side = 'cloud') as cloud_read_at,
        max(completed_at) filter (side = 'box') as box_read_at,
        min(parts_read_at) filter (side in ('cloud', 'box')) as parts_read_at
    from sides
),

differences as (
    select
        count(*) as compared_count,
        count(*) filter (difference = 'equal') as equal_count,
        count(*) filter (difference = 'missing' and not is_explained) as missing_count,
        count(*) filter (difference = 'different' and not is_explained) as different_count,
        count(*) filter (difference = 'extra' and not is_explained) as unwanted_count,
        count(*) filter (difference = 'extra' and is_explained) as extra_count,
        count(*) filter (difference in ('missing', 'different') and is_explained) as explained_count
    from {{ ref('transfer_differences') }}
),

outcomes as (
    select
        count(*) filter (outcome = 'refused') as refused_count,
        count(*) filter (outcome = 'conflict') as conflict_count,
        count(*) filter (outcome = 'unsupported') as unsupported_count
    from {{ ref('transfer_outcomes') }}
),

totals as (
    select
        (select count(*) from {{ ref('transfer_counts') }} where not is_equal) as count_differences,
        (select count(*) from {{ ref('transfer_sums') }} where not is_equal) as sum_differences,
        (select count(*) from {{ ref('transfer_links') }} where not is_explained) as link_differences,
        -- those of cards are fields, which are compared; those of comments and activities are not
        (
            select count(*) from {{ ref('transfer_files') }}
            where not is_explained and entity in ('comment', 'activity')
        ) as file_differences,
        (select count(*) from {{ ref('transfer_files') }} where difference = 'unreadable') as unreadable_count,
        (select count(*) from {{ ref('transfer_dates') }}) as waiting_dates_count
),

verdict as (
    select
        *,
        coalesce(cloud_read_at is not null and box_read_at is not null, false) and compared_count > 0
            and missing_count + different_count + unwanted_count + refused_count
            + count_differences + sum_differences + link_differences + file_differences = 0 as is_exact
    from read, differences, outcomes, totals
)

select * from verdict
