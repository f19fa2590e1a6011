-- Every source contact with its name taken apart, the phones and e-mails that can be used, one flag per rule, and the
-- first reason that keeps it out. Which of several reasons comes first is in the seed rejection_reasons.
with contacts as (
    select * from {{ ref('int_contacts__cleaned') }}
),

names as (
    select * from {{ ref('int_contacts__named') }}
),

appearances as (
    select * from {{ ref('int_company_contacts__appearances') }}
),

companies as (
    select * from {{ ref('int_companies__outcomes') }}
),

reasons as (
    select list(reason order by precedence) as precedence
    from {{ ref('rejection_reasons') }}
    where entity = 'contact'
),

employers as (
    select
        appearances.record_key,
        bool_or(companies.record_key is not null) as has_company,
        bool_or(company_id is not null) as has_published_company,
        -- of the company that would be the primary one: that named them last, as in int_company_contacts__linked
        first(reason order by appearances.changed_at desc nulls last, appearances.company_key)
            filter (reason is not null) as company_reason
    from appearances
    left join companies on companies.record_key = appearances.company_key
    group by appearances.record_key
),

flagged as (
    select
        source, record_key, source_contact_id, company_key,
        last_name, first_name, second_name,
        name_kind, last_key, first_key, second_key, first_initial, second_initial, is_first_known,
        post,
        phones, emails,
        name_kind is not null as has_name,
        len(phones) > 0 as has_phone,
        len(emails) > 0 as has_email,
        coalesce(has_company, false) as has_company,
        coalesce(has_published_company, false) as has_published_company,
        company_reason,
        is_deleted, changed_at
    from contacts
    left join names using (record_key)
    left join employers using (record_key)
),

judged as (
    select
        *,
        [
            case when is_deleted then 'deleted' end,
            case when not has_company then 'orphan' end,
            case when not has_published_company then 'company_rejected' end,
            case when not (has_name or has_phone or has_email) then 'empty' end
        ] as grounds
    from flagged
),

validated as (
    select
        judged.* exclude (company_reason, grounds),
        {{ first_reason('grounds', 'precedence') }} as reason,
        case when not is_deleted and has_company and not has_published_company then company_reason end as company_reason
    from judged
    cross join reasons
)

select * from validated
