-- What each field of a candidate says, in terms of the box: `value` as it is sent, `canonical` as it is compared. What
-- points to something is translated, on the cloud's side; `unresolved` is what has nothing in the box to stand for it,
-- `orphans` what is not there in the cloud either.
with plain as (
    select * from {{ ref('int_transfer__cells') }} where kind in ('value', 'fm')
),

plain_values as (
    select
        * exclude (value),
        case kind
            when 'fm' then to_json(list_transform(
                value::json[],
                lambda line: json_object(
                    'typeId', line ->> '$.typeId', 'valueType', line ->> '$.valueType', 'value', line ->> '$.value'
                )
            ))
            else value
        end as value
    from plain
),

plain_canonical as (
    select
        side, version, entity, source_id, field, kind, sent, is_compared, reason, value,
        case
            when kind = 'fm' then nullif(array_to_string(list_sort(value::json[]::varchar[]), ' '), '')
            -- a zero that is sent to a custom field comes back as nothing
            when starts_with(field, 'UF_') and value ->> '$' = '0' then null
            else {{ transfer_canonical('value') }}
        end as canonical,
        []::varchar[] as unresolved, []::varchar[] as orphans
    from plain_values
),

everything as (
    select * from plain_canonical
    union all by name
    select * from {{ ref('int_transfer__file_values') }}
    union all by name
    select * from {{ ref('int_transfer__row_values') }}
    union all by name
    select * from {{ ref('int_transfer__pointer_values') }}
)

select * from everything
