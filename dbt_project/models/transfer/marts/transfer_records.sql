-- What is to be done with every record, in the order of sending; the names that cards keep of users for whom another
-- stands; files that came after their activities.
with fates as (
    select * from {{ ref('int_transfer__fates') }}
),

payloads as (
    select * from {{ ref('int_transfer__payloads') }}
),

planned as (
    select
        fates.entity, fates.source_id, fates.action, fates.outcome, fates.detail,
        fates.target_id,
        payloads.fields::json as fields, payloads.second_pass::json as second_pass,
        fates.created_at
    from fates
    left join payloads using (entity, source_id)
    union all
    select
        'names', source_id, case when target_id is null then 'create' else 'none' end,
        case when target_id is null then 'created' else 'unchanged' end,
        'a comment keeps the name of a user for whom another stands',
        try_cast(target_id as bigint), fields, null, created_at
    from {{ ref('int_transfer__lost_names') }}
    union all
    select
        'activity_file', source_id, case when target_id is null then 'create' else 'none' end,
        case when target_id is null then 'created' else 'unchanged' end,
        'a comment has a file that came after its activity',
        target_id, fields, null, created_at
    from {{ ref('int_transfer__later_files') }}
),

ordered as (
    select
        * exclude (created_at),
        created_at at time zone 'UTC' as created_at,
        row_number() over (
            partition by entity
            order by planned.created_at nulls last, try_cast(source_id as bigint) nulls last, source_id
        ) as position
    from planned
)

select * from ordered
