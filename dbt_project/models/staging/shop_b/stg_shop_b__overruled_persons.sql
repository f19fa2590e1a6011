-- Of persons whom several companies of shop B list, all appearances but the one that is believed: the one that changed
-- last, and an object of a file that names no company only where there is no other. The others are stg_shop_b__persons.
with appearances as (
    select * from {{ ref('stg_shop_b__person_appearances') }}
),

several as (
    select source_contact_id from appearances group by source_contact_id having count(*) > 1
),

ranked as (
    select
        *,
        row_number() over (
            partition by source_contact_id
            order by
                is_deleted, source_company_id like '(no uid) %', changed_at desc nulls last,
                document_changed_at desc nulls last, source_company_id
        ) as place
    from appearances
    semi join several using (source_contact_id)
),

overruled as (
    select record_key, company_key, source_contact_id, source_company_id from ranked where place > 1
)

select * from overruled
