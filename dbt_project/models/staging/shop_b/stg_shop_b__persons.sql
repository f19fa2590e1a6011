-- One row per person of shop B, as entered: of several companies that list one person the one that changed last is
-- believed, and an object of a file that names no company only where there is no other.
with appearances as (
    select * from {{ ref('stg_shop_b__person_appearances') }}
),

latest as (
    select * from appearances
    qualify row_number() over (
        partition by source_contact_id
        order by
            is_deleted, source_company_id like '(no uid) %', changed_at desc nulls last,
            document_changed_at desc nulls last, source_company_id
    ) = 1
),

extracted as (
    select
        source, record_key, source_contact_id,
        company_key, source_company_id,
        contact_name_raw, post_raw,
        {{ json_list('phones_raw') }} as phones_raw,
        {{ json_list('emails_raw') }} as emails_raw,
        is_deleted, changed_at,
        source_position, run_id, ingested_at
    from latest
)

select * from extracted
