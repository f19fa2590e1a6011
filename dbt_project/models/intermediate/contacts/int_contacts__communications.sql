-- Phones and e-mails of usable contacts, one row per contact and value, and whose such a value is by its nature: a
-- mobile or a mailbox is one person's own, an office's telephone need not be, 8-800 and info@ are made for everybody.
with contacts as (
    select record_key, phones, emails from {{ ref('int_contacts__validated') }} where reason is null
),

role_mailboxes as (
    select * from {{ ref('role_mailboxes') }}
),

given as (
    select record_key, 'phone' as kind, unnest(phones) as value from contacts
    union all
    select record_key, 'email' as kind, unnest(emails) as value from contacts
),

several as (
    select kind, value, count(*) as holders from given group by all having count(*) > 1
),

communications as (
    select
        given.record_key, given.kind, given.value,
        coalesce(holders, 1) as holders,
        case
            when mailbox is not null or given.kind = 'phone' and {{ is_toll_free('given.value') }} then 'everybody'
            when given.kind = 'email' or {{ phone_kind('given.value') }} = 'mobile' then 'a person'
            else 'an office'
        end as belongs_to
    from given
    left join several on several.kind = given.kind and several.value = given.value
    left join role_mailboxes on given.kind = 'email' and mailbox = split_part(given.value, '@', 1)
)

select * from communications
