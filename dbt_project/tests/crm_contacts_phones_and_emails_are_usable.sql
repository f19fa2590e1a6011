-- Phones are E.164 (ITU-T: a plus and 7 to 15 digits), e-mails have one @ and no capitals or spaces.
select contact_id, phones, emails
from {{ ref('crm_contacts') }}
where
    len(list_filter(phones, lambda phone: not coalesce(regexp_full_match(phone, '\+[1-9][0-9]{6,14}'), false))) > 0
    or len(list_filter(
        emails,
        lambda email: not coalesce(
            regexp_full_match(email, '[^@\s]+@[^@\s]+\.[^@\s]+') and email = lower(email), false
        )
    )) > 0
    or (len(phones) > 1 and len(phones) <> len(list_distinct(phones)))
    or (len(emails) > 1 and len(emails) <> len(list_distinct(emails)))
