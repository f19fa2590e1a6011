-- Cards are made in the order in which the cloud made them: an import refuses a date earlier than one that is there.
select
    entity, source_id, position, created_at,
    max(created_at) over (
        partition by entity order by position rows between unbounded preceding and 1 preceding
    ) as created_before
from {{ ref('transfer_records') }}
where action = 'create'
qualify created_at < created_before
