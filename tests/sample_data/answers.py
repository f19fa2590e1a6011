"""Known answers in SQL: the truths of the records, put together by the rules of the public interface.

Works on what was true before it was typed, never on the typed text, so it shares no cleaning with the models.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import duckdb

from .tables import TRUTH


def write_answers(out: Path, *, since: datetime, day: int = 1) -> None:
    """Derive `answers/*.parquet` of day one, or of day two (`day_two/answers/`), from the truths under `out`."""
    con = duckdb.connect()
    folder = out / "answers" if day == 1 else out / "day_two" / "answers"
    folder.mkdir(parents=True, exist_ok=True)
    for name in TRUTH:
        _view_of_day(con, name, out / "truth" / f"{name}.parquet", out / "day_two" / "truth" / f"{name}.parquet", day)
    _view_of_day(con, "registry", out / "registry.parquet", out / "day_two" / "registry.parquet", day, key="inn")
    con.execute("set variable since = ?", [since])
    con.execute(COMPANY_OUTCOMES)
    con.execute(PERSON_OUTCOMES)
    con.execute(EVIDENCE)
    keys = person_keys(con.execute("select left_id, right_id from evidence").fetchall())
    con.execute(
        "create table merged as select unnest(?::varchar[]) as record_id, unnest(?::varchar[]) as person_key",
        [list(keys), list(keys.values())],
    )
    con.execute(PERSON_KEYS)
    for name, query in ANSWERS.items():
        con.execute(f"copy ({query}) to '{folder / name}.parquet' (format parquet)")
    con.close()


def _view_of_day(
    con: duckdb.DuckDBPyConnection, name: str, one: Path, two: Path, day: int, key: str | None = None
) -> None:
    key = key or ("source_1, source_id_1" if name == "traps" else "source, source_id")
    query = f"select * from '{one}'"
    if day == 2:
        kept = f"select o.* from read_parquet('{one}') o anti join read_parquet('{two}') t using ({key})"
        query = f"select * from '{two}' union all {kept}"
    con.execute(f"create table {'true_' if name != 'registry' else ''}{name} as {query}")


def person_keys(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Smallest record id of its connected component, for every record that occurs in a pair."""
    parent: dict[str, str] = {}

    def root(record: str) -> str:
        while parent.setdefault(record, record) != record:
            parent[record] = record = parent[parent[record]]
        return record

    for left, right in pairs:
        a, b = root(left), root(right)
        parent[max(a, b)] = min(a, b)
    return {record: root(record) for record in list(parent)}


COMPANY_OUTCOMES = """
create table verdicts as
select inn, bool_or(status <> 'UNKNOWN') as is_known, bool_or(status in ('ACTIVE', 'REORGANIZING')) as is_active,
       arg_max(struct_pack(status, kpp, ogrn, type, full_name, short_name, opf, director_name, director_post, address),
               status in ('ACTIVE', 'REORGANIZING')) as facts
from registry group by inn;
create table company_outcomes as
select c.*, case
    when c.fault is not null then c.fault
    when v.inn is null then 'awaiting_verdict'
    when not v.is_known then 'unknown_to_registry'
    when not v.is_active then 'not_active'
    when not c.is_in_period then 'outside_period'
    else 'published' end as outcome
from true_companies c left join verdicts v using (inn);
"""

PERSON_OUTCOMES = """
create table person_outcomes as
with employed as (
    select e.source, e.source_id, bool_or(c.outcome = 'published') as has_company, min(c.outcome) as company_reason,
           list(distinct c.inn) filter (c.outcome = 'published') as inns
    from true_employments e left join company_outcomes c on c.source = e.source and c.source_id = e.company_source_id
    group by all
)
select p.*, p.source || ':' || p.source_id as record_id, coalesce(inns, []) as inns,
    case when p.fault in ('deleted', 'orphan', 'gone') then p.fault
         when not coalesce(has_company, false) then 'company_rejected'
         when p.fault is not null then p.fault
         else 'published' end as outcome,
    case when p.fault is null and not has_company then company_reason end as company_reason
from true_persons p left join employed using (source, source_id);
"""

# A phone or an e-mail is personal when every record that gives it is of one true person. Any other joins the records of
# one person in one company, and a mobile or a mailbox of one's own also elsewhere where a whole name is beside it.
EVIDENCE = """
create table held as
select record_id, person_id, kind, unnest(given) as held_value from (
    select record_id, coalesce(person_id, record_id) as person_id, 'same_phone' as kind, phones as given
    from person_outcomes where outcome = 'published'
    union all
    select record_id, coalesce(person_id, record_id), 'same_email', emails
    from person_outcomes where outcome = 'published'
);
create table evidence as
with personal as (
    select kind, held_value, list(distinct record_id order by record_id) as records
    from held group by all having count(distinct person_id) = 1 and count(distinct record_id) > 1
),
in_company as (
    select 'same_name_in_company' as kind, list(distinct record_id order by record_id) as records
    from (select *, unnest(inns) as inn from person_outcomes where outcome = 'published' and full_name is not null)
    where person_id is not null
    group by person_id, full_name, inn having count(distinct record_id) > 1
),
placed_in as (
    select *, unnest(inns) as inn from person_outcomes
    where outcome = 'published' and person_id is not null and is_named
),
by_value_in_company as (
    select kind || '_in_company' as kind, list(distinct record_id order by record_id) as records
    from held join (select record_id, inn from placed_in) using (record_id)
    group by kind, held_value, person_id, inn having count(distinct record_id) > 1
),
by_value_of_several as (
    select kind || '_of_several' as kind, list(distinct record_id order by record_id) as records
    from held join (select record_id, full_name from placed_in) using (record_id)
    where held_value like '+79%' or (kind = 'same_email' and not starts_with(held_value, 'info@'))
    group by kind, held_value, person_id having count(distinct record_id) > 1 and count(full_name) > 0
),
by_short_name as (
    select 'same_short_name_in_company' as kind, list(distinct record_id order by record_id) as records
    from placed_in where last_name is not null and first_name is not null
    group by person_id, inn, last_name, first_name
    having count(distinct record_id) > 1 and count(full_name) > 0
)
select kind, records[1] as left_id, unnest(records[2:]) as right_id
from (
    select kind, records from personal union all from in_company union all from by_value_in_company
    union all from by_value_of_several union all from by_short_name
);
"""

PERSON_KEYS = """
create table person_records as
select p.*, case when outcome = 'published' and person_id is not null
       then coalesce(m.person_key, p.record_id) end as person_key
from person_outcomes p left join merged m using (record_id);
"""

ANSWERS = {
    "companies": """
        select source, source_id, inn as true_inn, case when outcome = 'published' then inn end as company_key, outcome
        from company_outcomes order by all""",
    "golden_companies": """
        with orders as (
            select inn, count(*) as order_count, sum(amount) as order_total, max(ordered_at) as last_order_at
            from true_orders o
            join company_outcomes c on c.source = o.source and c.source_id = o.company_source_id
            where outcome = 'published' and o.fault is null
              and o.status <> 'cancelled' and ordered_at >= getvariable('since')
            group by inn
        ),
        survivors as (
            select inn, list(distinct source order by source) as sources,
                   arg_max(title, changed_at) as title, arg_max(kpp, changed_at) filter (kpp is not null) as kpp,
                   arg_max(address, changed_at) filter (address is not null) as address,
                   arg_max(struct_pack(bank_name, bik, account, corr_account), changed_at)
                       filter (account is not null) as bank
            from company_outcomes where outcome = 'published' group by inn
        )
        select inn as company_key, inn, coalesce(facts.kpp, kpp) as kpp, facts.ogrn, facts.type,
               coalesce(facts.short_name, title) as title, facts.full_name,
               coalesce(facts.opf, regexp_extract(title, '^\\S+')) as opf,
               facts.director_name, facts.director_post, coalesce(facts.address, address) as legal_address,
               bank.bank_name, bank.bik, bank.account, bank.corr_account, facts.status as registry_status, sources,
               coalesce(order_count, 0) as order_count, coalesce(order_total, 0) as order_total, last_order_at
        from survivors join verdicts using (inn) left join orders using (inn) order by inn""",
    "contacts": """
        select source, source_id, person_key, outcome, company_reason,
               last_name, first_name, second_name, phones, emails, person_id is not null as is_certain
        from person_records order by source, source_id""",
    "golden_contacts": """
        select person_key,
               case when coalesce(max(changed_at) filter (is_typo) < max(changed_at) filter (not is_typo), true)
                    then any_value(last_name) end as last_name,
               any_value(first_name) as first_name, any_value(second_name) as second_name,
               bool_or(is_named) as is_named,
               case when bool_and(are_values_known) then list_sort(list_distinct(flatten(list(phones)))) end as phones,
               case when bool_and(are_values_known) then list_sort(list_distinct(flatten(list(emails)))) end as emails,
               list(distinct source order by source) as sources, count(*) as records
        from person_records where person_key is not null group by person_key order by person_key""",
    "links": """
        with pairs as (
            select distinct person_key, unnest(inns) as company_key
            from person_records where person_key is not null
        )
        select *, case when count(*) over (partition by person_key) = 1 then true end as is_primary
        from pairs order by all""",
    "deals": """
        select o.source || ':' || o.source_id as deal_id, c.inn as company_key, p.person_key,
               o.person_source_id is null or p.person_key is not null as is_contact_known,
               status, amount, currency, ordered_at, ordered_at >= getvariable('since') as is_in_period
        from true_orders o
        join company_outcomes c on c.source = o.source and c.source_id = o.company_source_id and c.outcome = 'published'
        left join person_records p on p.source = o.source and p.source_id = o.person_source_id
        where o.fault is null order by deal_id""",
    "traps": """
        select trap, false as must_merge, source_1, source_id_1, source_2, source_id_2 from true_traps
        union all by name
        select distinct kind || case when l.is_typo or r.is_typo then '_with_typo'
                                     when l.full_name is null or r.full_name is null then '_with_part_of_the_name'
                                     else '' end as trap,
               true as must_merge, l.source as source_1, l.source_id as source_id_1,
               r.source as source_2, r.source_id as source_id_2
        from evidence join person_records l on l.record_id = left_id join person_records r on r.record_id = right_id
        order by all""",
}
