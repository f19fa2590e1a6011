{{ config(materialized='view') }}
-- Usable source contacts and the cluster each belongs to, named after its first record; most are a cluster of their
-- own.
with recursive edges as (
    select * from {{ ref('int_contacts__match_edges') }}
),

contacts as (
    select * from {{ ref('int_contacts__validated') }} where reason is null
),

components(record_key, component) using key (record_key) as (
    {{ connected_components('edges') | indent(4) }}
),

clustered as (
    select source, record_key, coalesce(component, record_key) as cluster_key
    from contacts
    left join components using (record_key)
)

select * from clustered
