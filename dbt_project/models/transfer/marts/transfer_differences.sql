-- The two portals side by side after translation, one row a record of either: equal, different, missing in the box,
-- extra in it. What is never compared is in the seed transfer_fields, with the reason.
with identities as (
    select * from {{ ref('int_transfer__identities') }}
),

compared as (
    select
        entity, source_id,
        json_group_object(field, json_object('cloud', wanted, 'box', in_box)) as fields,
        string_agg(field, ', ' order by field) as field_names
    from {{ ref('int_transfer__comparison') }}
    where is_compared and not is_equal
    group by all
),

comments as (
    select 'comments' as entity, source_id, lacking_count
    from {{ ref('int_transfer__comments') }}
    where lacking_count > 0
),

of_the_cloud as (
    select
        identities.entity, identities.source_id,
        identities.target_id,
        case
            when not identities.is_in_box then 'missing'
            when compared.source_id is not null or comments.source_id is not null then 'different'
            else 'equal'
        end as difference,
        compared.fields::json as fields,
        coalesce(compared.field_names, 'comments that the box lacks: ' || comments.lacking_count) as detail
    from identities
    left join compared using (entity, source_id)
    left join comments using (entity, source_id)
),

of_the_box as (
    select
        records.entity, null as source_id, try_cast(string_split(records.source_id, ':')[-1] as bigint) as target_id,
        'extra' as difference, null::json as fields, 'record ' || records.source_id || ' of the box' as detail
    from {{ ref('stg_portals__records') }} as records
    anti join identities on identities.entity = records.entity and identities.box_key = records.source_id
    where records.side = 'box' and records.entity in (
        'company', 'requisite', 'bank_detail', 'address', 'contact', 'lead', 'deal', 'product_rows', 'requisite_link',
        'activity', 'comments'
    )
),

differences as (
    select * from of_the_cloud
    union all
    select * from of_the_box
)

select * from differences
