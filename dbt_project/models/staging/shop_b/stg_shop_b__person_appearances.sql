-- One row per person and company that ever listed them: what the company's current document says, or, where that lists them no
-- more, what the last one did that had them.
with listed as (
    {{ persons_of('(select *, 1 as version_number from ' ~ ref('stg_shop_b__documents') ~ ')', 'is_deleted') }}
    union all
    {{ persons_of(ref('stg_shop_b__earlier_documents'), 'true') }}
),

extracted as (
    select
        fields[1] as source_contact_id, company_uid as source_company_id,
        fields[2] as contact_name_raw, fields[3] as post_raw, fields[4] as phones_raw, fields[5] as emails_raw,
        is_gone as is_deleted,
        coalesce({{ utc_from_iso('fields[6]') }}, document_changed_at) as changed_at,
        document_changed_at, version_number, source_position, run_id, ingested_at
    from (
        select *, json_extract_string(person, ['$.uid', '$.fio', '$.post', '$.phones', '$.emails', '$.changed_at']) as fields
        from listed
    )
    where fields[1] is not null
)

select * exclude (version_number)
from extracted
qualify row_number() over (
    partition by source_company_id, source_contact_id order by version_number, changed_at desc nulls last, phones_raw, emails_raw
) = 1
