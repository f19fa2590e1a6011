-- Cards are made in the order in which the cloud made them, by the very dates that are sent: an import refuses a date
-- earlier than one that is there.
with creates as (
    select entity, source_id, position, try_cast(fields ->> '$.createdTime' as timestamptz) as sent_created_at
    from {{ ref('transfer_records') }}
    where action = 'create' and entity in ('company', 'contact', 'lead', 'deal')
)

select
    *,
    max(sent_created_at) over (
        partition by entity order by position rows between unbounded preceding and 1 preceding
    ) as sent_before
from creates
qualify sent_created_at < sent_before
