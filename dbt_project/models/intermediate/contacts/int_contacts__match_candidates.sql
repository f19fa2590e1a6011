-- Pairs that the evidence joins, as stars: each record that shares a key with others is paired with the first of them,
-- so a key of n records makes n - 1 pairs. A pair says by which rule and by which key.
with contacts as materialized (
    select record_key, name_kind, last_key, first_key, second_key
    from {{ ref('int_contacts__validated') }}
    where reason is null
),

communications as (
    select * from {{ ref('int_contacts__communications') }} where holders > 1 and not is_shared
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

named_communications as materialized (
    select record_key, kind, value, is_personal, name_kind, last_key
    from communications
    inner join contacts using (record_key)
),

keys as (
    -- the same personal phone or e-mail, wherever
    select record_key, 'same_' || kind as rule, value as match_key, '' as within
    from named_communications
    where is_personal and name_kind in ('full', 'part')
    union all
    -- what is nobody's own (8-800, info@), or stands beside no name, joins inside one company only
    select record_key, 'same_' || kind || '_in_company', value,
        company_id || case when name_kind in ('full', 'part') then '' else coalesce(' ' || last_key, ' ') end
    from named_communications
    inner join employed using (record_key)
    where not is_personal or coalesce(name_kind, 'text') = 'text'
    union all
    select record_key, 'same_name_in_company', last_key || ' ' || first_key || ' ' || second_key, company_id
    from contacts
    inner join employed using (record_key)
    where name_kind = 'full'
),

starred as (
    select *, min(record_key) over (partition by rule, match_key, within) as left_key from keys
),

candidates as (
    select left_key, record_key as right_key, rule, match_key, within
    from starred
    where left_key <> record_key
)

select * from candidates
