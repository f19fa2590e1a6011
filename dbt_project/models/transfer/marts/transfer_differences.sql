-- The two portals side by side after translation, one row a record of either: equal, different, missing in the box,
-- extra in it. What is never compared is in the seed transfer_fields, with the reason. A difference is explained where
-- people or settings wanted it so, or where a statement in dates.sql waits for it: it is told, and stops nothing.
with outcomes as (
    select * from {{ ref('transfer_outcomes') }}
),

identities as (
    select * from {{ ref('int_transfer__identities') }}
    where {{ transfer_is_chosen('entity') }}
),

dates as (
    select entity, source_id from {{ ref('transfer_dates') }}
),

fields as (
    select
        compared.*,
        case
            when compared.field in ('createdTime', 'createdBy') and dates.source_id is not null then 'dates'
            when compared.kind = 'file' and compared.sent = 'create' then 'unreadable'
            when not is_updated then verdict
            else 'update'
        end as state
    from {{ ref('int_transfer__comparison') }} as compared
    left join dates using (entity, source_id)
    where is_compared and not is_equal
),

compared as (
    select
        entity, source_id,
        json_group_object(field, json_object('cloud', wanted, 'box', in_box, 'state', state)) as fields,
        string_agg(field, ', ' order by field) as field_names,
        bool_and(state in ('box_kept', 'conflict', 'dates', 'unreadable')) as is_explained
    from fields
    group by all
),

comments as (
    select 'comments' as entity, source_id, lacking_count
    from {{ ref('int_transfer__comments') }}
),

comments_of_the_box as (
    select 'comment:' || comment_id as box_key from {{ ref('int_transfer__box_comments') }}
),

of_the_cloud as (
    select
        identities.entity, identities.source_id, identities.target_id,
        case
            when comments.lacking_count = 0 then 'equal'
            when not identities.is_in_box and comments_of_the_box.box_key is null then 'missing'
            when compared.source_id is not null or comments.source_id is not null then 'different'
            else 'equal'
        end as difference,
        compared.fields::json as fields,
        case
            when owners.is_owner_deleted_in_box then true -- as in a merge there: what hung on it hangs elsewhere
            when identities.is_in_box and compared.source_id is not null then compared.is_explained
            else coalesce(outcomes.outcome in ('box_kept', 'unsupported'), false)
        end as is_explained,
        coalesce(
            compared.field_names, 'comments that the box lacks: ' || nullif(comments.lacking_count, 0), outcomes.detail,
            case when outcomes.outcome = 'created' and not outcomes.is_done then 'not sent yet' end
        ) as detail
    from identities
    left join compared using (entity, source_id)
    left join comments using (entity, source_id)
    left join outcomes using (entity, source_id)
    left join {{ ref('int_transfer__owners') }} as owners using (entity, source_id)
    left join comments_of_the_box on identities.entity = 'activity' and comments_of_the_box.box_key = identities.box_key
),

of_the_box as (
    select
        entity, null as source_id, try_cast(string_split(box_key, ':')[-1] as bigint) as target_id,
        'extra' as difference, null::json as fields, is_explained, detail
    from {{ ref('int_transfer__extras') }}
    where {{ transfer_is_chosen('entity') }}
),

differences as (
    select * exclude (is_explained), difference = 'equal' or is_explained as is_explained from of_the_cloud
    union all by name
    select * from of_the_box
)

select * from differences
