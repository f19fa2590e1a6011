-- The lines of SVOD_TRANSFER_USERS: which user of the box a user of the cloud is, as a person has written it down.
{%- set by_hand = env_var('SVOD_TRANSFER_USERS', '') | replace("'", "''") %}
with lines as (
    {%- if by_hand %}
    select
        row_number() over () + 1 as line_number, -- the first line names the columns
        coalesce(trim(cloud_id), '') as user_id, coalesce(trim(box_id), '') as target_id
    from read_csv('{{ by_hand }}', header = true, all_varchar = true)
    {%- else %}
    select 0 as line_number, '' as user_id, '' as target_id
    where false
    {%- endif %}
)

select * from lines
