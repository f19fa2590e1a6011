-- Every record of the cloud has an outcome, and no outcome is of a record that neither portal knows.
with records as (
    select side, entity, source_id from {{ ref('stg_portals__records') }}
    where side in ('cloud', 'baseline') and entity in (
        'company', 'requisite', 'bank_detail', 'address', 'contact', 'lead', 'deal', 'product_rows', 'requisite_link',
        'activity', 'comments'
    )
),

without_outcome as (
    select entity, source_id, 'no outcome' as problem
    from records
    anti join {{ ref('transfer_outcomes') }} using (entity, source_id)
    where side = 'cloud'
)

select * from without_outcome
