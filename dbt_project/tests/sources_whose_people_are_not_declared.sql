-- Sources of contacts of which people_in_sources does not say where their people are: whoever is forgotten keeps their
-- name there.
{{ config(severity='warn') }}
select distinct source
from {{ ref('int_contacts__unioned') }}
where source not in (select split_part(raw_table, '__', 1) from {{ ref('people_in_sources') }})
