-- Of orders that several companies of shop B show, all appearances but the one that is believed: of the company whose
-- newest version shows it. The others are stg_shop_b__orders.
with appearances as (
    select * from {{ ref('stg_shop_b__order_appearances') }}
),

several as (
    select source_order_id from appearances group by source_order_id having count(*) > 1
),

ranked as (
    select
        *,
        row_number() over (
            partition by source_order_id
            order by
                is_deleted, version_number, document_changed_at desc nulls last, source_company_id, changed_at desc,
                status_raw, amount_raw, source_contact_id
        ) as place
    from appearances
    semi join several using (source_order_id)
),

overruled as (
    select record_key, company_key, source_order_id, source_company_id from ranked where place > 1
)

select * from overruled
