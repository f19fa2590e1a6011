{{ config(severity='warn') }}
-- Companies of shop B whose persons or orders are neither a list nor an object in their newest document: nobody can be
-- read from these, and an analyst should ask the shop.
with documents as (
    select
        company_uid,
        unnest(['persons', 'orders']) as field,
        unnest(json_type(document, ['$.persons', '$.orders'])) as json_kind,
        source_position, run_id, ingested_at
    from {{ ref('stg_shop_b__documents') }}
)

select * from documents
where json_kind not in ('ARRAY', 'OBJECT', 'NULL')
