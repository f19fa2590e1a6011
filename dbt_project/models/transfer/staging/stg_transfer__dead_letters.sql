-- What the very portal that is the box now refused of the very cloud, by the record it belongs to: a comment by its
-- id, what an activity is bound to by the activity, what is told afterwards by the record that it is told of.
with letters as (
    select *, string_split(origin_id, if(entity = 'second_pass', '/', ':')) as key_parts
    from {{ source('transfer', 'dead_letters') }}
    where source_portal in (select host from {{ ref('stg_portals__snapshots') }} where side = 'cloud')
),

of_the_box as (
    select
        case letters.entity when 'binding' then 'activity' when 'activity_comment' then 'activity'
            when 'second_pass' then key_parts[1] else letters.entity end as entity,
        case letters.entity when 'binding' then key_parts[1] when 'second_pass' then key_parts[2]
            else letters.origin_id end as source_id,
        letters.error || coalesce(': ' || nullif(letters.error_description, ''), '') as refusal,
        letters.entity = 'binding' as is_of_binding
    from letters
    inner join {{ ref('stg_portals__snapshots') }} as sides on sides.side = 'box' and sides.host = letters.portal
)

select * from of_the_box
