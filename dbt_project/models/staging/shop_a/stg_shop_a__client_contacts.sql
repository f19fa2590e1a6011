-- One row per contact of shop A, latest version: the name and post repaired, phones and e-mails read, all of it as typed beside.
with extracted as (
    select
        fields[1] as source_contact_id, fields[2] as source_company_id,
        fields[3] as contact_name_raw, fields[4] as post_raw, fields[5] as phone_raw, fields[6] as email_raw,
        coalesce(fields[7], '0') not in ('0', 'false') as is_deleted,
        {{ utc_from_moscow('fields[8]') }} as created_at, {{ utc_from_moscow('fields[9]') }} as changed_at,
        source_position, run_id, ingested_at
    from (
        select *, json_extract_string(payload, [
            '$.id', '$.client_id', '$.full_name', '$.position', '$.phone', '$.email', '$.is_deleted', '$.created_at', '$.updated_at'
        ]) as fields
        from {{ source('shop_a', 'shop_a__client_contacts') }}
    )
    where fields[1] is not null
),

latest as (
    select *, contact_name_raw as contact_name, post_raw as post, [phone_raw] as phones_typed
    from extracted
    qualify row_number() over (    -- raw is append-only: a changed contact is there once per version
        partition by source_contact_id order by changed_at desc nulls last, ingested_at desc, source_position desc
    ) = 1
),

phoned as (
    {{ phone_numbers('latest', 'source_contact_id', 'phones_typed', ref('phone_countries')) | indent(4) }}
)

select
    source_contact_id, source_company_id,
    contact_name, post, contact_name_raw, post_raw, phone_raw, email_raw,
    phones,
    {{ email_addresses('[email_raw]') | indent(4) }} as emails,
    is_deleted, created_at, changed_at,
    source_position, run_id, ingested_at
from {{ with_repaired_text('phoned', ['contact_name', 'post']) }}
