-- What the rows of goods of candidates say, in terms of the box: a product that is not proven to be one of the box's is
-- left out, on either side.
with rows_of_goods as (
    select
        * exclude (value),
        unnest(value::json[]) as line,
        generate_subscripts(value::json[], 1) as place
    from {{ ref('int_transfer__cells') }}
    where kind = 'rows'
),

products as (
    select * from {{ ref('int_transfer__products') }}
),

goods_of_the_restore as ( -- the very row has come with the backup, so its product is the same one
    select distinct source_id, line ->> '$.productId' as product_id, line ->> '$.productName' as product_name
    from rows_of_goods
    where side = 'baseline'
),

goods as (
    select
        rows_of_goods.*,
        nullif(line ->> '$.productId', '0') as product_id,
        coalesce(
            case when side in ('cloud', 'past') then of_the_cloud.target_id else of_the_box.target_id end,
            restored.product_id
        ) as target_id
    from rows_of_goods
    left join products as of_the_cloud on of_the_cloud.product_id = line ->> '$.productId'
    left join products as of_the_box on of_the_box.target_id = line ->> '$.productId'
    left join goods_of_the_restore as restored
        on restored.source_id = rows_of_goods.source_id
        and restored.product_id = line ->> '$.productId' and restored.product_name = line ->> '$.productName'
),

of_each_card as (
    select
        side, version, entity, source_id, field, any_value(kind) as kind,
        any_value(sent) as sent, any_value(is_compared) as is_compared, any_value(reason) as reason,
        -- what may be written of a row; the portal works out the rest
        to_json(list(json_merge_patch('{}'::json, json_object(
            'productId', nullif(try_cast(target_id as bigint), 0), 'productName', line -> '$.productName',
            'price', line -> '$.price', 'quantity', line -> '$.quantity',
            'discountTypeId', line -> '$.discountTypeId', 'discountRate', line -> '$.discountRate',
            'discountSum', line -> '$.discountSum',
            'taxRate', line -> '$.taxRate', 'taxIncluded', line -> '$.taxIncluded',
            'measureCode', line -> '$.measureCode', 'sort', line -> '$.sort'
        )) order by place)) as value,
        []::varchar[] as unresolved,
        coalesce(
            list(distinct 'product ' || product_id || ' (its row goes without it)')
                filter (side = 'cloud' and product_id is not null and target_id is null), []
        ) as orphans
    from goods
    group by side, version, entity, source_id, field
),

row_values as (
    select *, {{ transfer_canonical('value') }} as canonical from of_each_card
)

select * from row_values
