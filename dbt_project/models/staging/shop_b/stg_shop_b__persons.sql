{{ config(materialized='view') }}
-- One row per person of shop B, as entered: of several companies that list one person the one that is believed. A view:
-- hardly any person is listed twice, and the texts need not be either.
with appearances as (
    select * from {{ ref('stg_shop_b__person_appearances') }}
),

overruled as (
    select source_contact_id, source_company_id from {{ ref('stg_shop_b__overruled_persons') }}
),

believed as (
    select * from appearances
    anti join overruled using (source_contact_id, source_company_id)
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
    from believed
)

select * from extracted
