{{ config(materialized='view') }}
-- The newest document of each company and, behind it, those that it replaced: where persons and orders are found that
-- are gone from it. Last come objects of the files that name no company, under a key of their own: who is listed there
-- has no company that is known.
with newest as (
    select * from {{ ref('stg_shop_b__documents') }}
),

replaced as (
    select * from {{ ref('stg_shop_b__versions') }} where content_number > 1
),

filed as (
    select * from {{ source('shop_b', 'shop_b__companies') }}
),

streamed as (
    select * from {{ source('shop_b', 'shop_b__events') }}
),

keyless as (
    select * from filed
    anti join {{ ref('stg_shop_b__versions') }} using (source_position, run_id, ingested_at)
),

history as (
    select
        company_uid, document,
        1 as version_number, is_deleted as is_gone, changed_at as document_changed_at,
        source_position, run_id, ingested_at
    from newest
    union all by name
    select
        company_uid, payload as document,
        version_number, true as is_gone, changed_at as document_changed_at,
        source_position, run_id, ingested_at
    from filed
    inner join (from replaced where not is_event) using (source_position, run_id, ingested_at)
    union all by name
    select
        company_uid, payload -> '$.company' as document,
        version_number, true as is_gone, changed_at as document_changed_at,
        source_position, run_id, ingested_at
    from streamed
    inner join (from replaced where is_event) using (source_position, run_id, ingested_at)
    union all by name
    select
        '(no uid) ' || source_position as company_uid, payload as document,
        1000000000 as version_number, false as is_gone, null as document_changed_at, -- behind all others
        source_position, run_id, ingested_at
    from keyless
)

select * from history
