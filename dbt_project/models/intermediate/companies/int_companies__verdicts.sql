-- What the registry says about an INN as a whole: active if any registration under it is, and the facts of the
-- registration that speaks for it: the active one, the main office, the latest registered.
with registrations as (
    select * from {{ ref('int_companies__registrations') }}
),

verdicts as (
    select
        inn,
        bool_or(is_found) as is_found,
        bool_or(is_active) as is_active,
        count(*) filter (is_found) as registration_count,
        max(asked_at) as asked_at,
        unnest(arg_max(
            struct_pack(
                registry_status, kpp, ogrn, party_type, full_name, short_name, legal_form,
                director_name, director_post, legal_address
            ),
            row(
                is_active, not is_branch,
                coalesce(registered_on, '0001-01-01'::date), coalesce(ogrn, ''), coalesce(kpp, '')
            )
        ))
    from registrations
    group by inn
)

select * from verdicts
