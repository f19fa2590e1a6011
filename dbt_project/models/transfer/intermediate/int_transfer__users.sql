-- Which user of the box a user of the cloud is. Names never match: two people have one name, one person two. An e-mail
-- proves a user where it is unique in both portals; an XML_ID likewise, unless it just repeats the id.
{%- set fallback = env_var('SVOD_TRANSFER_FALLBACK_USER', '') | replace("'", "''") %}
with users as (
    select
        side, source_id as user_id,
        nullif(lower(trim(payload ->> '$.EMAIL')), '') as email,
        nullif(nullif(trim(payload ->> '$.XML_ID'), ''), source_id) as xml_id,
        coalesce(
            nullif(trim(concat_ws(' ', payload ->> '$.LAST_NAME', payload ->> '$.NAME')), ''), 'user ' || source_id
        ) as user_name
    from {{ ref('stg_portals__records') }}
    where entity = 'user' and side in ('cloud', 'box')
),

counted as (
    select
        *,
        count(*) over (partition by side, email) = 1 as is_email_unique,
        count(*) over (partition by side, xml_id) = 1 as is_xml_id_unique
    from users
),

cloud as (
    select * from counted where side = 'cloud'
),

box as (
    select * from counted where side = 'box'
),

named_by_hand as (
    select source_id as user_id, target_id from {{ ref('stg_transfer__id_map') }}
    where entity = 'user' and proof = 'by_hand'
    union
    select user_id, target_id from {{ ref('int_transfer__users_by_hand') }}
),

proofs as (
    select cloud.user_id, box.user_id as target_id, 'same_id' as proof, 1 as proof_rank
    from cloud
    inner join box using (user_id, email)
    union all
    select cloud.user_id, box.user_id as target_id, 'same_email', 2
    from cloud
    inner join box using (email)
    where cloud.is_email_unique and box.is_email_unique
    union all
    select cloud.user_id, box.user_id as target_id, 'xml_id', 3
    from cloud
    inner join box using (xml_id)
    where cloud.is_xml_id_unique and box.is_xml_id_unique
    union all
    select cloud.user_id, named_by_hand.target_id, 'by_hand', 4
    from cloud
    inner join named_by_hand using (user_id)
    where named_by_hand.target_id in (select user_id from box)
    {%- if fallback %}
    union all
    select cloud.user_id, box.user_id as target_id, 'fallback', 5
    from cloud
    inner join box on box.user_id = '{{ fallback }}'
    {%- endif %}
),

best as (
    select * from proofs
    qualify row_number() over (partition by user_id order by proof_rank) = 1
),

mapped as (
    select
        cloud.user_id, best.target_id, best.proof,
        cloud.user_name, cloud.email,
        coalesce(best.proof, 'fallback') <> 'fallback' as is_proven,
        same_id.user_id is not null and (same_id.email is distinct from cloud.email) as is_id_of_another
    from cloud
    left join best using (user_id)
    left join box as same_id using (user_id)
)

select * from mapped
