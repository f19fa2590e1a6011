"""What the second day must do to the CRM: the answers of both days compared, entity by entity, field by field."""

from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from .tables import CHANGES

COMPANY_FIELDS = """inn kpp ogrn title full_name director_name legal_address bank_name bik account corr_account sources
    order_count order_total last_order_at""".split()  # noqa: SIM905
CONTACT_FIELDS = "last_name first_name second_name phones emails companies".split()  # noqa: SIM905
DEAL_FIELDS = "status amount closed_at contact_id".split()  # noqa: SIM905

# One entity on both days: a company by its INN or its only record, a person by any record, a deal by its id.
IDENTITIES = """
create table company_ids as
select distinct o.company_key as before, t.company_key as after
from one_companies o full join two_companies t using (source, source_id)
where coalesce(o.company_key, t.company_key) is not null;
delete from company_ids gone where (after is null and exists (from company_ids k where k.before = gone.before
    and k.after is not null)) or (before is null and exists (from company_ids k where k.after = gone.after
    and k.before is not null));
create table contact_ids as
select distinct o.person_key as before, t.person_key as after
from one_contacts o full join two_contacts t using (source, source_id)
where coalesce(o.person_key, t.person_key) is not null;
delete from contact_ids gone where (after is null and exists (from contact_ids k where k.before = gone.before
    and k.after is not null)) or (before is null and exists (from contact_ids k where k.after = gone.after
    and k.before is not null));

create table one_people as
select g.* exclude (sources, records), list_sort(list(coalesce(c.after, l.company_key))) as companies
from one_golden_contacts g join one_links l using (person_key) left join company_ids c on c.before = l.company_key
group by all;
create table two_people as
select g.* exclude (sources, records), list_sort(list(l.company_key)) as companies
from two_golden_contacts g join two_links l using (person_key) group by all;

create table one_sales as
select d.* exclude (person_key), p.after as contact_id,
       case when status in ('done', 'cancelled') then 'closed' end as closed_at
from one_deals d left join contact_ids p on p.before = d.person_key where is_in_period;
create table two_sales as
select d.* exclude (person_key), person_key as contact_id,
       case when status in ('done', 'cancelled') then 'closed' end as closed_at
from two_deals d where is_in_period;

create table company_records as
select 'one' as day, * from one_companies where company_key is not null
union all select 'two', * from two_companies where company_key is not null;
create table contact_records as
select 'one' as day, * from one_contacts where person_key is not null
union all select 'two', * from two_contacts where person_key is not null;
"""

CHANGED = """
with gone as (
    select source || ':' || source_id from true_orders where fault = 'gone'
),
company as (
    select 'company' as entity, i.before, i.after, t.inn, {company_fields} as fields,
           (select min((source, source_id)) from company_records r
            where r.company_key = coalesce(i.before, i.after) and day = if(i.before is null, 'two', 'one')
           ) as record
    from company_ids i
    left join one_golden_companies o on o.inn = i.before left join two_golden_companies t on t.inn = i.after
),
contact as (
    select 'contact' as entity, i.before, i.after, null as inn, {contact_fields} as fields,
           (select min((source, source_id)) from contact_records r
            where r.person_key = coalesce(i.before, i.after) and day = if(i.before is null, 'two', 'one')
           ) as record
    from contact_ids i
    left join one_people o on o.person_key = i.before left join two_people t on t.person_key = i.after
),
deal as (
    select 'deal' as entity, o.deal_id as before, t.deal_id as after, null as inn, {deal_fields} as fields,
           (split_part(deal_id, ':', 1), split_part(deal_id, ':', 2)) as record
    from two_sales t full join one_sales o using (deal_id)
    where t.deal_id is not null or deal_id in (from gone) -- else its company left, and the deal stays as it is
),
changed as (from company union all from contact union all from deal),
placed as ( -- the companies where it happened
    select c.*, coalesce(s.scenario, '') as scenario
    from changed c
    left join (
        select source, source_id, source as company_source, source_id as company_source_id, 'company' as entity
        from company_records
        union select source, source_id, source, company_source_id, 'contact' from true_employments
        union select source, source_id, source, company_source_id, 'deal' from true_orders
    ) p on p.entity = c.entity and p.source = c.record[1] and p.source_id = c.record[2]
    left join scenarios s on s.source = p.company_source and s.source_id = p.company_source_id
)
select max(scenario) as scenario, entity, case when before is null then 'create' else 'update' end as action,
       coalesce(any_value(inn), case when entity = 'company' then any_value(before) end) as inn,
       record[1] as source, record[2] as source_id,
       case when before is null then [] when after is null then ['state'] else any_value(fields) end as fields
from placed
where before is null or after is null or len(fields) > 0
group by entity, before, after, record
order by scenario, entity, action, source, source_id
"""


def write_crm_changes(out: Path, scenarios: dict[tuple[str, str], str]) -> int:
    """Write `day_two/answers/crm_changes.parquet` from both days' answers under `out`; return the number of changes."""
    con = duckdb.connect()
    for day, folder in (("one", out / "answers"), ("two", out / "day_two" / "answers")):
        for answer in folder.glob("*.parquet"):
            con.execute(f"create view {day}_{answer.stem} as from '{answer}'")
    for truth in ("employments", "orders"):
        files = [str(out / "truth" / f"{truth}.parquet"), str(out / "day_two" / "truth" / f"{truth}.parquet")]
        con.execute(f"create view true_{truth} as from read_parquet({files})")
    con.execute("create table scenarios (source varchar, source_id varchar, scenario varchar)")
    con.executemany("insert into scenarios values (?, ?, ?)", [(*key, name) for key, name in scenarios.items()])
    con.execute(IDENTITIES)
    fields = {"company_fields": COMPANY_FIELDS, "contact_fields": CONTACT_FIELDS, "deal_fields": DEAL_FIELDS}
    query = CHANGED.format(**{name: _differing(columns) for name, columns in fields.items()})
    changes = con.sql(query).to_arrow_table()
    con.close()
    pq.write_table(changes.cast(CHANGES), out / "day_two" / "answers" / "crm_changes.parquet")
    return changes.num_rows


def _differing(columns: list[str]) -> str:
    """SQL for the list of the columns whose value is another one on day two."""
    named = ", ".join(f"case when o.{name} is distinct from t.{name} then '{name}' end" for name in columns)
    return f"list_filter([{named}], lambda name: name is not null)"
