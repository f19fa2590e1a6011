-- One row per order of shop B that any version of a company has shown: of several companies that show one order, the
-- one whose newest version does.
with appearances as (
    select * from {{ ref('stg_shop_b__order_appearances') }}
),

latest as (
    select * exclude (version_number, document_changed_at) from appearances
    qualify row_number() over (
        partition by source_order_id
        order by
            is_deleted, version_number, document_changed_at desc nulls last, source_company_id, changed_at desc,
            status_raw, amount_raw, source_contact_id
    ) = 1
)

select * from latest
