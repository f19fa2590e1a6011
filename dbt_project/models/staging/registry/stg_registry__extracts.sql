-- One row per registration in the tax service's extracts, the newest extract of it, the text as the register has it.
-- Files with changes tell of some registrations only, so each is newest by itself, whatever was answered about its INN.
with extracts as (
    select * from {{ source('registry', 'registry__companies') }}
    where source_key is not null and payload ->> '$.extract.type' is not null
),

extracted as (
    select
        source_key as inn,
        json_transform(payload -> '$.extract', '{
            "type": "VARCHAR", "ogrn": "VARCHAR", "registered_on": "VARCHAR", "kpp": "VARCHAR",
            "full_name": "VARCHAR", "short_name": "VARCHAR", "legal_form": "VARCHAR",
            "director_name": "VARCHAR", "director_post": "VARCHAR", "address": "VARCHAR",
            "status_codes": ["VARCHAR"], "ceased_on": "VARCHAR", "ceased_code": "VARCHAR"
        }') as extract,
        source_at as asked_at,
        source_position, run_id, ingested_at
    from extracts
),

unpacked as (
    select
        inn,
        extract.type as party_type,
        extract.ogrn, extract.kpp,
        extract.full_name, extract.short_name,
        case -- as the service abbreviates it: the register spells it out, and in the plural
            when extract.type = 'LEGAL' then nullif(regexp_extract(extract.short_name, '^([А-ЯЁ]{2,6})\s', 1), '')
            when extract.legal_form = 'Индивидуальный предприниматель' then 'ИП'
        end as legal_form,
        extract.director_name, extract.director_post,
        extract.address as legal_address,
        extract.ceased_code,
        coalesce(extract.status_codes, []) as status_codes,
        extract.ceased_on is not null or extract.ceased_code is not null as is_ceased,
        {{ day_in_range('try_cast(extract.registered_on as date)') }} as registered_on,
        {{ day_in_range('try_cast(extract.ceased_on as date)') }} as liquidated_on,
        (extract.registered_on is not null and registered_on is null)
        or (extract.ceased_on is not null and liquidated_on is null) as has_date_out_of_range,
        asked_at::date as actual_on,
        asked_at,
        source_position, run_id, ingested_at
    from extracted
),

newest as (
    select * from unpacked
    qualify row_number() over (
        partition by inn, coalesce(ogrn, '')
        -- a file may tell of a company twice a day: what comes later in it is later
        order by
            asked_at desc, ingested_at desc,
            try_cast(split_part(source_position, '@', -1) as bigint) desc, source_position desc
    ) = 1
)

select * from newest
