{{ config(
    materialized='incremental', unique_key='contact_id', incremental_strategy='delete+insert', full_refresh=false
) }}
-- The memory of contact ids, one row per id ever given out. It reads itself: an id once minted is kept when records
-- join or leave, while its records are rejected, and through --full-refresh. A new id is made from the key of its
-- cluster's first record, so that a warehouse built from nothing gives the same ids again, but where such a record
-- joined its person later than others; the publisher knows those by a phone or e-mail within their company.
with known as (
    {% if is_incremental() -%}
    select * from {{ this }}
    {%- else -%}
    select
        null::varchar as contact_id, null::varchar as anchor, null::varchar[] as members, null::varchar as merged_into,
        null::timestamp as minted_at, null::varchar as minted_run_id
    where false
    {%- endif %}
),

records as ( -- numbers of one shop grow with time: the shortest and smallest is the oldest
    select
        record_key, cluster_key, row_number() over (order by source, length(record_key), record_key) as seniority
    from {{ ref('int_contacts__clustered') }}
),

clusters as (
    select
        cluster_key,
        arg_min(record_key, seniority) as anchor,
        list_transform(list_sort(list((seniority, record_key))), lambda record: record[2]) as members
    from records
    group by cluster_key
),

memberships as (
    select contact_id, anchor, minted_at, unnest(members) as record_key from known
),

heirs as ( -- of a person that split, one part keeps the id: the one with the record it was made from, else the larger
    select contact_id, cluster_key, anchor, minted_at
    from (
        select contact_id, cluster_key, anchor, minted_at,
            bool_or(record_key = anchor) as has_anchor, count(*) as record_count
        from memberships inner join records using (record_key)
        group by all
    )
    qualify row_number() over (partition by contact_id order by has_anchor desc, record_count desc, cluster_key) = 1
),

survivors as ( -- of ids that turned out to be one person the oldest survives
    select heirs.cluster_key, first(contact_id order by minted_at, seniority nulls last, contact_id) as contact_id
    from heirs
    left join records on records.record_key = heirs.anchor
    group by heirs.cluster_key
),

absent as ( -- records that are rejected now stay with the id, so that they come back to it
    select
        coalesce(survivors.contact_id, memberships.contact_id) as contact_id,
        list(distinct record_key order by record_key) as members
    from memberships
    left join heirs on heirs.contact_id = memberships.contact_id
    left join survivors on survivors.cluster_key = heirs.cluster_key
    where record_key not in (select record_key from records)
    group by all
),

merged as (
    select
        known.contact_id, known.anchor, []::varchar[] as members, survivors.contact_id as merged_into,
        known.minted_at, known.minted_run_id
    from heirs
    inner join survivors using (cluster_key)
    inner join known on known.contact_id = heirs.contact_id
    where heirs.contact_id <> survivors.contact_id
),

kept as (
    select
        known.contact_id, known.anchor, clusters.members || coalesce(absent.members, []) as members,
        null::varchar as merged_into, known.minted_at, known.minted_run_id
    from survivors
    inner join clusters using (cluster_key)
    inner join known using (contact_id)
    left join absent using (contact_id)
),

unnamed as (
    select *, 'p-' || md5('contact ' || anchor)[:16] as first_choice
    from clusters
    anti join survivors using (cluster_key)
),

minted as ( -- an id that was merged away comes back when its record is a person of its own again
    select
        'p-' || md5('contact ' || unnamed.anchor || coalesce(' after ' || known.contact_id, ''))[:16] as contact_id,
        unnamed.anchor, unnamed.members, null::varchar as merged_into,
        {{ utc_now() }} as minted_at, '{{ svod_run_id() }}' as minted_run_id
    from unnamed
    left join known on known.contact_id = first_choice and known.merged_into is null
),

present as (
    select * from kept
    union all
    select * from merged
    union all
    select * from minted
),

changed as (
    select present.*
    from present
    left join known using (contact_id)
    where known.contact_id is null
        or present.members is distinct from known.members
        or present.merged_into is distinct from known.merged_into
)

select * from changed
