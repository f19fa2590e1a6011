select contact_id, last_name, first_name, second_name, card_last_name, post, phones, emails, sources
from {{ ref('int_contacts__deduplicated') }}
