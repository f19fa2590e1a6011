-- One row per landed version of a company document: an object of a history file or an event of the topic. The newest
-- version of a company tells what is; the older ones only prove that a person or an order once existed.
-- `content_number` counts the versions that have a content, not a deletion, from the newest on. The documents
-- themselves stay in raw until it is known which of them count; only what ranks them is read here.
with files as (
    select * from {{ source('shop_b', 'shop_b__files') }}
),

documents as (
    select * from {{ source('shop_b', 'shop_b__companies') }}
),

events as (
    select * from {{ source('shop_b', 'shop_b__events') }}
),

exports as ( -- of a file that was delivered several times: what lands up to its header was made when that says
    select
        source_position as file_name,
        {{ utc_from_iso("payload ->> '$.exported_at'") }} as exported_at,
        coalesce(lag(ingested_at) over deliveries, '-infinity') as after_at,
        case when lead(ingested_at) over deliveries is null then 'infinity' else ingested_at end as until_at
    from files
    window deliveries as (partition by source_position order by ingested_at)
),

documents_read as (
    select
        regexp_extract(source_position, '^(.*)@', 1) as file_name,
        json_extract_string(payload, ['$.uid', '$.changed_at']) as fields,
        source_position, run_id, ingested_at
    from documents
),

filed as (
    select
        fields[1] as company_uid,
        false as is_event,
        false as is_deletion,
        coalesce({{ utc_from_iso('fields[2]') }}, exported_at) as changed_at,
        0 as kafka_offset,
        source_position, run_id, ingested_at
    from documents_read
    left join exports
        on exports.file_name = documents_read.file_name and ingested_at > after_at and ingested_at <= until_at
),

events_read as (
    select
        json_extract_string(payload, ['$.company.uid', '$.event', '$.occurred_at']) as fields,
        payload is null or payload = 'null' as is_empty,
        source_key, source_at, source_position, run_id, ingested_at
    from events
),

streamed as (
    select
        coalesce(fields[1], source_key) as company_uid,
        true as is_event,
        is_empty or coalesce(fields[2], '') = 'company.deleted' as is_deletion, -- a tombstone means the same
        coalesce({{ utc_from_iso('fields[3]') }}, source_at) as changed_at,
        try_cast(split_part(source_position, '/', 3) as bigint) as kafka_offset,
        source_position, run_id, ingested_at
    from events_read
),

versions as (
    select * from filed
    union all by name
    select * from streamed
),

numbered as (
    select
        company_uid,
        is_event, is_deletion,
        changed_at,
        row_number() over newest_first as version_number,
        case when not is_deletion then count(case when not is_deletion then 1 end) over newest_first end
            as content_number,
        source_position, run_id, ingested_at
    from versions
    where company_uid is not null
    -- occurred_at decides, then the offset; of a file and an event of one moment the event is the later word
    window newest_first as (
        partition by company_uid
        order by changed_at desc nulls last, is_event desc, kafka_offset desc, ingested_at desc, source_position desc
        rows unbounded preceding
    )
)

select * from numbered
