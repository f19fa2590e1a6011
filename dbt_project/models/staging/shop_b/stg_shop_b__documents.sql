{{ config(materialized='view') }}
-- One row per company of shop B: what its newest version says, or, once deleted, the last that was known of it. A view:
-- the documents are by far the largest thing that is landed, and stay where they are.
with versions as (
    select * from {{ ref('stg_shop_b__versions') }}
),

filed as (
    select * from {{ source('shop_b', 'shop_b__companies') }}
),

streamed as (
    select * from {{ source('shop_b', 'shop_b__events') }}
),

latest as (
    select * from versions where version_number = 1
),

contents as (
    select company_uid, is_event, source_position, run_id, ingested_at
    from versions
    where content_number = 1
),

documents as (
    select company_uid, payload as document
    from filed
    inner join (from contents where not is_event) using (source_position, run_id, ingested_at)
    union all
    select company_uid, payload -> '$.company' as document
    from streamed
    inner join (from contents where is_event) using (source_position, run_id, ingested_at)
),

current_documents as (
    select
        latest.company_uid,
        documents.document,
        latest.is_deletion as is_deleted,
        latest.changed_at,
        latest.source_position, latest.run_id, latest.ingested_at
    from documents
    right join latest using (company_uid)
)

select * from current_documents
