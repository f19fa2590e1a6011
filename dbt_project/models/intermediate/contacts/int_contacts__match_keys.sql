-- What a record could meet others by, one row per record and key that others have too: its phones, its e-mails, and
-- surname with given name inside one company. `within` is the company that the key is confined to, else ''.
with contacts as (
    select record_key, name_kind, last_key, first_key from {{ ref('int_contacts__validated') }} where reason is null
),

communications as (
    select * from {{ ref('int_contacts__communications') }} where holders > 1
),

appearances as (
    select * from {{ ref('int_company_contacts__appearances') }}
),

companies as (
    select * from {{ ref('int_companies__outcomes') }} where company_id is not null
),

employed as materialized (
    select distinct appearances.record_key, company_id
    from appearances
    inner join companies on companies.record_key = appearances.company_key
),

given as materialized (
    select
        communications.*, coalesce(name_kind, 'none') as name_kind, last_key,
        name_kind in ('full', 'part') and last_key is not null and first_key is not null as is_named
    from communications
    inner join contacts using (record_key)
),

own_of_named as (
    select kind, value from given where belongs_to = 'a person' and is_named
),

told as ( -- short names that meet a named one by a value of their own: what is everybody's might name another
    select distinct record_key
    from given
    semi join own_of_named using (kind, value)
    where name_kind = 'part' and not is_named
),

keys as (
    -- what may be somebody's own, wherever it is given
    select record_key, kind, value as match_key, '' as within, belongs_to
    from given
    where belongs_to <> 'everybody' and name_kind <> 'none'
    union all
    -- what may be everybody's joins inside one company only
    select record_key, kind, value, company_id, belongs_to
    from given
    inner join employed using (record_key)
    anti join told using (record_key)
    where belongs_to <> 'a person' and name_kind in ('full', 'part')
    union all
    -- so does what stands beside no name, or beside one text
    select record_key, kind, value, company_id || ' ' || coalesce(last_key, ''), 'nobody'
    from given
    inner join employed using (record_key)
    where name_kind in ('text', 'none')
    union all
    select record_key, 'name', last_key || ' ' || first_key, company_id, 'a person'
    from contacts
    inner join employed using (record_key)
    where name_kind in ('full', 'part') and last_key is not null and first_key is not null
),

shared as (
    select *
    from keys
    qualify count(*) over (partition by kind, match_key, within) > 1
)

select * from shared
