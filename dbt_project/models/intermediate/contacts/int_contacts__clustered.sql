{{ config(materialized='view') }}
-- Usable source contacts and the cluster each belongs to, named after its first record; most are a cluster of their own.
with recursive components(record_key, component) using key (record_key) as (
    {{ connected_components(ref('int_contacts__match_edges')) | indent(4) }}
)

select source, source_contact_id, record_key, coalesce(component, record_key) as cluster_key
from {{ ref('int_contacts__validated') }}
left join components using (record_key)
where reason is null
