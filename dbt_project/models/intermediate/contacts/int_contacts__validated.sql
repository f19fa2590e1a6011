-- Every source contact with its name taken apart, the phones and e-mails that can be used, and the first reason that keeps it out: its
-- source deleted it, its company does not exist, no company of its is published, nothing in it is usable.
with employed as (
    select
        appearances.source, source_contact_id,
        bool_or(companies.source_company_id is not null) as has_company,
        bool_or(company_id is not null) as has_published_company,
        min(reason) as company_reason
    from {{ ref('int_company_contacts__appearances') }} as appearances
    left join {{ ref('int_companies__outcomes') }} as companies using (source, source_company_id)
    group by all
),

usable as (
    select
        source, source_contact_id, source_company_id, post,
        {{ usable_values('phones', 'number') }} as phones,
        {{ usable_values('emails', 'address') }} as emails,
        is_deleted, changed_at
    from {{ ref('int_contacts__unioned') }}
),

flagged as (
    select
        usable.*,
        last_name, first_name, second_name, name_kind, last_key, first_key, second_key, first_initial, second_initial, is_first_known,
        name_kind is not null as has_name,
        coalesce(len(phones) > 0, false) as has_phone,
        coalesce(len(emails) > 0, false) as has_email,
        coalesce(has_company, false) as has_company,
        coalesce(has_published_company, false) as has_published_company,
        company_reason
    from usable
    left join {{ ref('int_contacts__named') }} using (source, source_contact_id)
    left join employed using (source, source_contact_id)
)

select
    * exclude (company_reason),
    source || ':' || source_contact_id as record_key,
    case
        when is_deleted then 'deleted'
        when not has_company then 'orphan'
        when not has_published_company then 'company_rejected'
        when not (has_name or has_phone or has_email) then 'empty'
    end as reason,
    case when not is_deleted and has_company and not has_published_company then company_reason end as company_reason
from flagged
