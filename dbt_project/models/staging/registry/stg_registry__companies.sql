-- One row per registration of an INN in the newest answer about it, the text as answered; an INN that the registry does
-- not know has one row with is_found false. A person who was an entrepreneur twice has two registrations under one INN.
with answers as (
    select * from {{ source('registry', 'registry__companies') }}
    where source_key is not null and payload ->> '$.extract.type' is null -- those are in stg_registry__extracts
),

newest as (
    select
        source_key as inn,
        payload,
        coalesce(source_at, ingested_at) as asked_at,
        source_position, run_id, ingested_at
    from answers
    qualify rank() over (partition by source_key order by coalesce(source_at, ingested_at) desc) = 1
),

extracted as materialized ( -- read twice below
    select
        inn,
        json_transform(payload, '{
            "found": "VARCHAR",
            "verdict": {
                "status": "VARCHAR", "kpp": "VARCHAR", "ogrn": "VARCHAR", "type": "VARCHAR", "full_name": "VARCHAR",
                "short_name": "VARCHAR", "opf": "VARCHAR", "director_name": "VARCHAR", "director_post": "VARCHAR",
                "address": "VARCHAR",
                "registration_date": "VARCHAR", "liquidation_date": "VARCHAR", "actuality_date": "VARCHAR"
            },
            "suggestions": [{"data": {
                "inn": "VARCHAR", "kpp": "VARCHAR", "ogrn": "VARCHAR", "type": "VARCHAR", "branch_type": "VARCHAR",
                "name": {"full_with_opf": "VARCHAR", "short_with_opf": "VARCHAR"}, "opf": {"short": "VARCHAR"},
                "state": {
                    "status": "VARCHAR",
                    "actuality_date": "VARCHAR", "registration_date": "VARCHAR", "liquidation_date": "VARCHAR"
                },
                "management": {"name": "VARCHAR", "post": "VARCHAR"}, "address": {"value": "VARCHAR"}
            }}]
        }') as answer,
        asked_at, source_position, run_id, ingested_at
    from newest
),

unpacked as (
    select
        inn,
        coalesce(answer.found <> 'false', true) as is_found,
        answer.verdict, answer.suggestions,
        asked_at, source_position, run_id, ingested_at
    from extracted
),

from_service as (
    select
        inn,
        suggested.data.state.status as registry_status,
        suggested.data.kpp, suggested.data.ogrn,
        suggested.data.type as party_type,
        suggested.data.branch_type,
        suggested.data.name.full_with_opf as full_name,
        suggested.data.name.short_with_opf as short_name,
        suggested.data.opf.short as legal_form,
        suggested.data.management.name as director_name,
        suggested.data.management.post as director_post,
        suggested.data.address.value as legal_address,
        is_found and suggested is not null as is_found,
        {{ day_of_milliseconds('suggested.data.state.registration_date') }} as registered_on,
        {{ day_of_milliseconds('suggested.data.state.liquidation_date') }} as liquidated_on,
        {{ day_of_milliseconds('suggested.data.state.actuality_date') }} as actual_on,
        (suggested.data.state.registration_date is not null and registered_on is null)
        or (suggested.data.state.liquidation_date is not null and liquidated_on is null)
        or (suggested.data.state.actuality_date is not null and actual_on is null) as has_date_out_of_range,
        asked_at, source_position, run_id, ingested_at
    from (
        select *, unnest(case when len(suggestions) > 0 then suggestions else [null] end) as suggested
        from unpacked
        where verdict is null
    )
    -- the service may answer with a namesake's number; only the INN that was asked for counts
    where suggested is null or coalesce(suggested.data.inn, inn) = inn
),

from_file as (
    select
        inn,
        verdict.status as registry_status,
        verdict.kpp, verdict.ogrn,
        verdict.type as party_type,
        null as branch_type,
        verdict.full_name, verdict.short_name, verdict.opf as legal_form, verdict.director_name, verdict.director_post,
        verdict.address as legal_address,
        is_found and coalesce(upper(trim(verdict.status)) not in ('', 'UNKNOWN'), false) as is_found,
        {{ day_in_range('try_cast(verdict.registration_date as date)') }} as registered_on,
        {{ day_in_range('try_cast(verdict.liquidation_date as date)') }} as liquidated_on,
        {{ day_in_range('try_cast(verdict.actuality_date as date)') }} as actual_on,
        (verdict.registration_date is not null and registered_on is null)
        or (verdict.liquidation_date is not null and liquidated_on is null)
        or (verdict.actuality_date is not null and actual_on is null) as has_date_out_of_range,
        asked_at, source_position, run_id, ingested_at
    from unpacked
    where verdict is not null
),

registrations as (
    select * from from_service
    union all by name
    select * from from_file
)

select * from registrations
