-- Every record of the cloud and the record of the box that it is, with the proof. After a restore: the same kind, id
-- and time of creation. A card that the move made carries a mark, other parts are in transfer.id_map. Nothing else is
-- the same: a lead 1005 of the cloud and a lead 1005 that was made in the box are two.
with records as (
    select
        side, host, entity, source_id, digest,
        try_cast(coalesce(
            payload ->> '$.createdTime', payload ->> '$.DATE_CREATE', payload ->> '$.CREATED'
        ) as timestamptz) as created_at,
        payload ->> '$.UF_CRM_SVOD_SOURCE' as mark
    from {{ ref('stg_portals__records') }}
    where {{ transfer_is_record('entity') }}
),

cloud as (select * from records where side = 'cloud'),

box as (select * from records where side = 'box'),

baseline as (select * from records where side = 'baseline'),

-- ----- what has an id of its own
with_id as (
    select *, host || ':' || source_id as own_mark from cloud
    where entity in ('company', 'requisite', 'bank_detail', 'contact', 'lead', 'deal', 'activity')
),

proofs as (
    select with_id.entity, with_id.source_id, box.source_id as box_key, 'same_id' as proof, 1 as proof_rank
    from with_id
    inner join box using (entity, source_id, created_at)
    where coalesce(box.mark, '') = coalesce(with_id.mark, '')
    union all
    select with_id.entity, with_id.source_id, box.source_id as box_key, 'created_by_us', 2
    from with_id
    inner join box on box.entity = with_id.entity and box.mark = with_id.own_mark
    union all
    select entity, source_id, target_id, proof, 3
    from {{ ref('stg_transfer__id_map') }}
    union all -- an activity of an application has become a comment, whose number says nothing among activities
    select 'activity', source_id, 'comment:' || target_id, proof, 3
    from {{ ref('stg_transfer__id_map') }}
    where entity = 'activity_comment'
    union all -- the box had it when it was restored, and has deleted it since
    select with_id.entity, with_id.source_id, baseline.source_id as box_key, 'same_id', 4
    from with_id
    inner join baseline using (entity, source_id, created_at)
    anti join box using (entity, source_id)
),

best as (
    select * from proofs
    qualify row_number() over (partition by entity, source_id order by proof_rank, box_key) = 1
),

proven as (
    select
        with_id.entity, with_id.source_id,
        null as owner_entity, null as owner_id,
        string_split(best.box_key, ':')[-1] as target_id, best.box_key, best.proof
    from with_id
    left join best using (entity, source_id)
),

-- ----- what is known by its owner: the key begins or ends with the owner's id
owned as (
    select
        entity, source_id,
        string_split(source_id, ':') as key_parts,
        case
            when entity = 'requisite_link' then 'deal'
            when entity = 'comments' then key_parts[1]
            when entity = 'product_rows' then case key_parts[1] when 'L' then 'lead' when 'D' then 'deal' end
            when entity = 'address' then {{ transfer_entity_of_type('key_parts[2]') }}
        end as owner_entity,
        key_parts[-1] as owner_id
    from cloud
    where entity in ('address', 'product_rows', 'requisite_link', 'comments')
),

proven_by_owner as (
    select
        owned.entity, owned.source_id, owned.owner_entity, owned.owner_id,
        proven.target_id,
        case when proven.target_id is not null
            then array_to_string(list_append(key_parts[:-2], proven.target_id), ':') end as box_key,
        case when proven.target_id is not null then 'of_owner' end as proof
    from owned
    left join proven on proven.entity = owned.owner_entity and proven.source_id = owned.owner_id
),

all_proven as (
    select * from proven
    union all
    select * from proven_by_owner
),

described as (
    select
        all_proven.entity, all_proven.source_id,
        all_proven.owner_entity, all_proven.owner_id,
        try_cast(all_proven.target_id as bigint) as target_id, all_proven.box_key, all_proven.proof,
        box.digest is not null as is_in_box,
        baseline.digest is not null and all_proven.proof in ('same_id', 'of_owner') as is_in_baseline,
        coalesce(
            cloud.digest = box.digest and cloud.digest = baseline.digest and all_proven.box_key = cloud.source_id, false
        ) as is_as_restored,
        all_proven.proof is null and same_key.digest is not null as is_id_of_another,
        cloud.created_at
    from all_proven
    inner join cloud using (entity, source_id)
    left join box on box.entity = all_proven.entity and box.source_id = all_proven.box_key
    left join baseline on baseline.entity = all_proven.entity and baseline.source_id = all_proven.box_key
    left join box as same_key on same_key.entity = all_proven.entity and same_key.source_id = all_proven.source_id
)

select * from described
