-- What is sent, or seems equal only because it was left out, points to nothing that has no counterpart in the box: make
-- it there (a stage, a value of a list), name the user in SVOD_TRANSFER_USERS, or set SVOD_TRANSFER_FALLBACK_USER.
with pointing as (
    select sent.entity, sent.source_id, sent.field, unnest(sent.unresolved) as unresolved
    from {{ ref('int_transfer__values') }} as sent
    inner join {{ ref('transfer_records') }} as planned using (entity, source_id)
    where sent.side = 'cloud' and sent.sent <> 'never' and (
        planned.action in ('create', 'update')
        -- a restored card keeps its user; any other value is lost where nothing stands for it
        or (sent.kind <> 'user' and sent.sent <> 'create' and planned.outcome in ('unchanged', 'conflict'))
    )
)

select * from pointing
