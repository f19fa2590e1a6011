{{ config(
    materialized='incremental', unique_key='company_id', incremental_strategy='delete+insert', full_refresh=false
) }}
-- The memory of company ids, one row per id ever given out. It reads itself: an id once minted is kept when the INN is
-- corrected, when records join or leave, and through --full-refresh. A new id is made from the key of the record that
-- was created first, so that a warehouse built from nothing gives the same ids again, but where such a record joined
-- its company later than others; the publisher knows those by their INN.
with known as (
    {% if is_incremental() -%}
    select * from {{ this }}
    {%- else -%}
    select
        null::varchar as company_id, null::varchar as inn, null::varchar[] as members, null::varchar as merged_into,
        null::varchar as anchor, null::timestamp as anchor_created_at,
        null::timestamp as minted_at, null::varchar as minted_run_id
    where false
    {%- endif %}
),

records as (
    select record_key, inn, created_at
    from {{ ref('int_companies__validated') }}
    where is_inn_valid
),

clusters as (
    select
        inn,
        list(record_key order by created_at nulls last, record_key) as members,
        min(created_at) as anchor_created_at
    from records
    group by inn
),

claims as ( -- an id may be claimed by the INN it stood for and by each record it held
    select company_id, clusters.inn, true as is_same_inn, 0 as record_count
    from known
    inner join clusters using (inn)
    union all
    select company_id, records.inn, false as is_same_inn, 1 as record_count
    from (select company_id, unnest(members) as record_key from known)
    inner join records using (record_key)
),

heirs as ( -- of a record that split, one part keeps the id: the one with its INN, else the larger
    select company_id, inn
    from (
        select company_id, inn, bool_or(is_same_inn) as is_same_inn, sum(record_count) as record_count
        from claims group by all
    )
    qualify row_number() over (partition by company_id order by is_same_inn desc, record_count desc, inn) = 1
),

survivors as ( -- of ids that turned out to be one company the oldest survives
    select
        heirs.inn,
        first(company_id order by minted_at, anchor_created_at nulls last, anchor, company_id) as company_id
    from heirs
    inner join known using (company_id)
    group by heirs.inn
),

merged as (
    select
        known.company_id, null::varchar as inn, []::varchar[] as members, survivors.company_id as merged_into,
        known.anchor, known.anchor_created_at, known.minted_at, known.minted_run_id
    from heirs
    inner join survivors using (inn)
    inner join known on known.company_id = heirs.company_id
    where heirs.company_id <> survivors.company_id
),

kept as (
    select
        known.company_id, clusters.inn, clusters.members, null::varchar as merged_into,
        known.anchor, known.anchor_created_at, known.minted_at, known.minted_run_id
    from survivors
    inner join clusters using (inn)
    inner join known using (company_id)
),

unnamed as (
    select clusters.*, 'c-' || md5('company ' || members[1])[:16] as first_choice
    from clusters
    anti join survivors using (inn)
),

minted as ( -- an id that was merged away comes back when its record is a company of its own again
    select
        case
            when known.company_id is null or known.merged_into is not null then first_choice
            else 'c-' || md5('company ' || unnamed.members[1] || ' ' || unnamed.inn)[:16]
        end as company_id,
        unnamed.inn, unnamed.members, null::varchar as merged_into,
        unnamed.members[1] as anchor, unnamed.anchor_created_at,
        {{ utc_now() }} as minted_at, '{{ svod_run_id() }}' as minted_run_id
    from unnamed
    left join known on known.company_id = first_choice
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
    left join known using (company_id)
    where known.company_id is null
        or present.inn is distinct from known.inn
        or present.members is distinct from known.members
        or present.merged_into is distinct from known.merged_into
)

select * from changed
