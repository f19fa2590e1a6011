-- Every field that was changed in a portal, with its value before; a part that was taken away has one row and no field.
with history as (
    select * from {{ source('sync', 'history') }} where action <> 'unseen'
),

by_field as (
    select
        portal, entity, origin_id, action,
        unnest(case
            when sent_before is null and sent is null then [null]
            else list_distinct(coalesce(json_keys(sent_before), []) || coalesce(json_keys(sent), []))
        end) as field,
        sent_before, sent, run_id, sent_at
    from history
),

changes as (
    select
        portal, entity, origin_id, action,
        case field -- the portal gets its own value for ours, which is what is kept: a stage, the number of a card
            when 'stageId' then 'status'
            when 'companyId' then 'company_id'
            when 'contactId' then 'contact_id'
            else field
        end as field,
        json_extract_string(sent_before, field) as value_before,
        json_extract_string(sent, field) as value,
        run_id, sent_at
    from by_field
    where field is null or json_extract_string(sent_before, field) is distinct from json_extract_string(sent, field)
)

select * from changes
