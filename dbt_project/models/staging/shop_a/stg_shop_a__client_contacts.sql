-- One row per contact of shop A's clients: its latest version, the text as entered.
with client_contacts as (
    select * from {{ source('shop_a', 'shop_a__client_contacts') }}
),

landed as (
    select
        json_transform(payload, '{
            "id": "VARCHAR", "client_id": "VARCHAR", "full_name": "VARCHAR", "position": "VARCHAR", "phone": "VARCHAR",
            "email": "VARCHAR", "is_deleted": "VARCHAR", "created_at": "VARCHAR", "updated_at": "VARCHAR"
        }') as contact,
        source_key, source_position, run_id, ingested_at
    from client_contacts
),

gone as ( -- a row that is no longer at the server has landed as one without a payload
    select source_key, max(ingested_at) as gone_at from client_contacts
    where payload is null
    group by source_key
),

extracted as (
    select
        'shop_a' as source,
        'shop_a:' || contact.id as record_key,
        contact.id as source_contact_id,
        'shop_a:' || contact.client_id as company_key,
        contact.client_id as source_company_id,
        contact.full_name as contact_name_raw,
        contact.position as post_raw,
        [contact.phone] as phones_raw,
        [contact.email] as emails_raw,
        coalesce(contact.is_deleted not in ('0', 'false'), false)
        or coalesce(ingested_at <= gone_at, false) as is_deleted,
        {{ utc_from_moscow('contact.created_at') }} as created_at,
        {{ utc_from_moscow('contact.updated_at') }} as changed_at,
        source_position, run_id, ingested_at
    from landed
    left join gone using (source_key)
    where contact.id is not null
),

latest as ( -- as it was when it was last read: a time of change may have been set back, or was of the future
    select * from extracted
    qualify row_number() over (
        partition by source_contact_id
        order by ingested_at desc, changed_at desc nulls last, source_position desc
    ) = 1
)

select * from latest
