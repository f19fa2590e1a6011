-- Which product of the box's catalogue a product of the cloud's is: the same id and name (also a former name), as after
-- a restore, or the same XML_ID where that is more than its id. A name alone proves nothing. Where the right to read
-- the catalogue is missing there is nothing here, and rows of goods go without their product.
with versions as (
    select * from {{ ref('stg_portals__versions') }} where entity = 'product'
),

listed as (
    select
        versions.portal, versions.is_current,
        versions.source_id as product_id, versions.payload ->> '$.name' as product_name,
        nullif(nullif(trim(versions.payload ->> '$.xmlId'), ''), versions.source_id) as xml_id
    from versions
),

current as (
    select *, count(*) over (partition by portal, xml_id) = 1 as is_xml_id_unique
    from listed
    where is_current
),

cloud as (
    select * from current where portal = 'cloud'
),

box as (
    select * from current where portal = 'box'
),

names_in_the_cloud as (
    select distinct product_id, product_name from listed where portal = 'cloud'
),

proofs as (
    select cloud.product_id, box.product_id as target_id, 'same_id' as proof, 1 as proof_rank
    from cloud
    inner join box using (product_id)
    inner join names_in_the_cloud as known
        on known.product_id = cloud.product_id and known.product_name = box.product_name
    union all
    select cloud.product_id, box.product_id as target_id, 'xml_id', 2
    from cloud
    inner join box using (xml_id)
    where cloud.is_xml_id_unique and box.is_xml_id_unique
),

best as (
    select * from proofs
    qualify row_number() over (partition by product_id order by proof_rank) = 1
),

mapped as (
    select cloud.product_id, best.target_id, best.proof, cloud.product_name
    from cloud
    left join best using (product_id)
)

select * from mapped
