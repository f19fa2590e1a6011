-- How long each step takes, how long it waited for its turn after the step before it, and how it ended: the last time,
-- and over the last thirty days.
with steps as (
    select
        *,
        epoch(finished_at - started_at) as seconds,
        -- of a time that the machine's clock was put back, nothing can be said
        greatest(0, epoch(started_at - lag(finished_at) over (partition by run_id order by started_at)))
            as wait_seconds,
        row_number() over (partition by run_id order by started_at) > 1 as has_waited,
        -- as `make status` has it: nothing was set to read, or nothing had landed
        status = 'done' and (
            coalesce((detail ->> '$.nothing_new')::boolean, false) or coalesce(json_keys(detail) = ['skipped'], false)
        ) as has_done_nothing
    from {{ source('ops', 'steps') }}
    where started_at > {{ utc_now() }} - interval 30 day
),

durations as (
    select
        step,
        count(*) as run_count,
        count(*) filter (status = 'failed') as failed_count,
        count(*) filter (status = 'gated') as gated_count,
        max(started_at) as last_started_at,
        arg_max(case when has_done_nothing then 'skipped' else status end, started_at) as last_status,
        arg_max(seconds, started_at) as last_seconds,
        median(seconds) as median_seconds,
        max(seconds) as longest_seconds,
        median(wait_seconds) filter (has_waited) as median_wait_seconds,
        arg_max(rows_in, started_at) as last_rows_in,
        arg_max(rows_out, started_at) as last_rows_out
    from steps
    group by step
)

select * from durations
