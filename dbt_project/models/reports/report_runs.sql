-- What the last runs sent: one row per push, the newest first.
with pushes as (
    select * from {{ source('ops', 'steps') }} where step = 'publish push'
),

told as (
    select
        run_id, started_at, finished_at, status,
        epoch(finished_at - started_at) as seconds,
        coalesce(detail -> '$.created', '{}') as created,
        coalesce(detail -> '$.updated', '{}') as updated,
        (detail ->> '$.adopted')::bigint as adopted_count,
        (detail ->> '$.dead_letters_now')::bigint as refused_count,
        (detail ->> '$.requests')::bigint as request_count,
        detail ->> '$.error' as error
    from pushes
),

summed as (
    select
        run_id, started_at, finished_at, status, seconds,
        created, updated,
        coalesce(list_sum(list_transform(json_keys(created), lambda entity: (created ->> entity)::bigint)), 0)::bigint
            as created_count,
        coalesce(list_sum(list_transform(json_keys(updated), lambda entity: (updated ->> entity)::bigint)), 0)::bigint
            as updated_count,
        adopted_count, refused_count, request_count, error
    from told
)

select * from summed
