-- Which entry of the box's dictionaries an entry of the cloud's is: statuses, stages, funnels, presets of requisites,
-- currencies, values of lists. A code proves an entry together with its name, also a name that the entry had before: a
-- stage that was renamed in the cloud is the same stage, one that has the code of another is not.
with listed as (
    select * from {{ ref('int_transfer__dictionary_entries') }}
),

cloud as (
    select * from listed where portal = 'cloud' and is_current
),

box as (
    select * from listed where portal = 'box' and is_current
),

names_in_the_cloud as ( -- of now and of before
    select distinct kind, entry, entry_name from listed where portal = 'cloud'
),

funnels as ( -- the default one is what every portal has
    select cloud.entry as place, box.entry as target_place
    from cloud
    inner join box on box.kind = cloud.kind
    left join names_in_the_cloud as known
        on known.kind = cloud.kind and known.entry = cloud.entry and known.entry_name = box.entry_name
    where cloud.kind = 'funnel' and (
        (box.entry = cloud.entry and (known.entry is not null or (cloud.is_fixed and box.is_fixed)))
        or box.entry_name = cloud.entry_name
    )
    qualify row_number() over (partition by cloud.entry order by box.entry <> cloud.entry, box.entry) = 1
),

sought as ( -- the code of a stage begins with its funnel, the default one aside: C3:NEW
    select
        cloud.* exclude (place),
        funnels.target_place,
        case
            when cloud.kind <> 'stage' then cloud.entry
            when funnels.target_place = '0' then regexp_replace(cloud.entry, '^C[0-9]+:', '')
            else 'C' || funnels.target_place || ':' || regexp_replace(cloud.entry, '^C[0-9]+:', '')
        end as target_entry
    from cloud
    left join funnels using (place)
),

pairs as (
    select
        sought.kind, sought.entry, box.entry as target_value,
        box.entry = sought.target_entry and sought.kind not like 'enum:%' and (
            known.entry is not null or (sought.is_fixed and box.is_fixed)
        ) as is_same_code,
        box.xml_id = sought.xml_id as is_same_xml_id,
        box.entry_name = sought.entry_name as is_same_name
    from sought
    inner join box on box.kind = sought.kind and box.place is not distinct from sought.target_place
    left join names_in_the_cloud as known
        on known.kind = sought.kind and known.entry = sought.entry and known.entry_name = box.entry_name
),

proofs as (
    select
        kind, entry, target_value,
        case when is_same_code then 'same_id' when is_same_xml_id then 'xml_id' else 'same_name' end as proof,
        case when is_same_code then 1 when is_same_xml_id then 2 else 3 end as proof_rank
    from pairs
    where is_same_code or is_same_xml_id or is_same_name
),

unique_proofs as ( -- what is called alike twice proves nothing
    select * from proofs
    qualify count(*) over (partition by kind, entry, proof) = 1
        and count(*) over (partition by kind, target_value, proof) = 1
),

best as (
    select * from unique_proofs
    qualify row_number() over (partition by kind, entry order by proof_rank) = 1
),

mapped as (
    select cloud.kind, cloud.entry as source_value, best.target_value, best.proof, cloud.entry_name
    from cloud
    left join best using (kind, entry)
)

select * from mapped
