-- One row per person of shop B: of several companies that list one person the one that changed last is believed.
with latest as (
    select
        *, contact_name_raw as contact_name, post_raw as post,
        {{ typed_list('phones_raw') }} as phones_typed, {{ typed_list('emails_raw') }} as emails_typed
    from (
        {{ newest_per_key(
            ref('stg_shop_b__person_appearances'), 'source_contact_id',
            'is_deleted, changed_at desc nulls last, document_changed_at desc nulls last, source_company_id'
        ) | indent(4) }}
    )
),

phoned as (
    {{ phone_numbers('latest', 'source_contact_id', 'phones_typed', ref('phone_countries')) | indent(4) }}
)

select
    source_contact_id, source_company_id,
    contact_name, post, contact_name_raw, post_raw, phones_raw, emails_raw,
    phones,
    {{ email_addresses('emails_typed') | indent(4) }} as emails,
    is_deleted, changed_at,
    source_position, run_id, ingested_at
from {{ with_repaired_text('phoned', ['contact_name', 'post']) }}
