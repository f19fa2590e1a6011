-- The records of each key, parted into groups of names that may be one person's: see the macro groups_of_names.
with keys as (
    select * from {{ ref('int_contacts__match_keys') }} where belongs_to <> 'nobody'
),

contacts as (
    select record_key, {{ name_columns() }} from {{ ref('int_contacts__validated') }} where reason is null
),

named_keys as (
    select * from keys inner join contacts using (record_key)
),

{{ groups_of_names('named_keys', 'kind, match_key, within, belongs_to') }}

select * from grouped
