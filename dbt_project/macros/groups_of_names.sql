{#- What a name form is made of: the columns of int_contacts__named that names_agree compares. -#}
{% macro name_columns() -%}
    name_kind, last_key, first_key, second_key, first_initial, second_initial, is_first_known
{%- endmacro %}

{% macro is_named() -%}
    (last_key is not null and first_key is not null or second_initial is not null)
{%- endmacro %}

{% macro is_bare() -%} (last_key is null and second_initial is null) {%- endmacro %}

{#- CTEs that part the records of each set (what they share: a phone, a chain of pairs) into groups of names that may be
    one person's. `sets` names a CTE with record_key, name_columns() and the columns `by` that tell a set; the last of
    the CTEs made here is `grouped`: those columns, record_key, name_kind, second_key, and
    - form_number: equal names have one number; the fullest and best attested name has number 1;
    - head_number: the number of the name that the group is judged by, so that two misspellings of it need not be alike.
      A form belongs to the one head that it agrees with; where two would do, or none, it stays alone;
    - is_head: the record has that name itself; is_head_full: the head has all three parts; is_head_named: surname and
      given name, or a patronymic or its initial beside another part; is_head_bare: a given name and nothing else;
    - fits_several: a short name that fuller ones lay claim to, so that two who have it may be two people;
    - group_count: groups in the set.
    Of a set with more than 64 forms, a hub, only equal forms are together: nobody is written in so many ways, and any
    name without surname or given name may fit several. -#}
{% macro groups_of_names(sets, by) -%}
forms as (
    select {{ by }}, {{ name_columns() }}, list(record_key) as record_keys, count(*) as giver_count
    from {{ sets }}
    where name_kind is not null
    group by all
),

numbered as materialized (
    select
        *,
        count(*) over (partition by {{ by }}) as form_count,
        row_number() over (
            partition by {{ by }}
            order by
                name_kind = 'full' desc,
                len(list_filter([last_key, first_key, second_key], lambda part: part is not null)) desc,
                len(list_filter([first_initial, second_initial], lambda part: part is not null)) desc,
                giver_count desc, {{ name_columns() }}
        ) as form_number
    from forms
),

agreeing as materialized (
    select {{ by }}, earlier.form_number as earlier_number, later.form_number as later_number
    from numbered as earlier
    inner join numbered as later using ({{ by }})
    where earlier.form_count between 2 and 64
        and later.form_number > earlier.form_number and {{ names_agree('earlier', 'later') }}
),

heads as (
    select
        {{ by }}, form_number as earlier_number,
        name_kind = 'full' as is_full, {{ is_named() }} as is_named, {{ is_bare() }} as is_bare
    from numbered
    where form_count > 1
        and ({{ by }}, form_number) not in (select ({{ by }}, later_number) from agreeing)
),

claimed as ( -- forms that agree with fuller ones, and how many of these are heads
    select
        {{ by }}, later_number as form_number, count(is_full) as head_count,
        any_value(earlier_number) filter (is_full is not null) as head_number,
        any_value(is_full) as is_full, any_value(is_named) as is_named, any_value(is_bare) as is_bare
    from agreeing
    left join heads using ({{ by }}, earlier_number)
    group by {{ by }}, later_number
),

fitting as (
    select * from claimed where head_count = 1
),

at_odds as ( -- "Иван Петрович" and "Иван Ильич" both fit "Сидоров Иван", which cannot be both
    select {{ by }}, unnest([earlier_number, later_number]) as form_number
    from (
        select {{ by }}, a.form_number as earlier_number, b.form_number as later_number
        from fitting as a
        inner join fitting as b using ({{ by }}, head_number)
        where not a.is_full and a.form_number < b.form_number
    )
    anti join agreeing using ({{ by }}, earlier_number, later_number)
),

placed as (
    select
        numbered.*,
        coalesce(fitting.head_number, form_number) as head_number,
        coalesce(fitting.is_full, name_kind = 'full') as is_head_full,
        coalesce(fitting.is_named, {{ is_named() }}) as is_head_named,
        coalesce(fitting.is_bare, {{ is_bare() }}) as is_head_bare,
        name_kind <> 'full' and coalesce(claimed.head_count <> 1, false)
        or form_count > 64 and (last_key is null or first_key is null) as fits_several
    from numbered
    left join claimed using ({{ by }}, form_number)
    left join (from fitting anti join at_odds using ({{ by }}, form_number)) as fitting using ({{ by }}, form_number)
),

grouped as (
    select
        {{ by }}, unnest(record_keys) as record_key, name_kind, second_key,
        form_number, head_number, form_number = head_number as is_head,
        is_head_full, is_head_named, is_head_bare, fits_several,
        -- with `filter` it takes the square of the time
        count(case when form_number = head_number then 1 end) over (partition by {{ by }}) as group_count
    from placed
)
{%- endmacro %}
