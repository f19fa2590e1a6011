"""Golden records in a warehouse, measured against a sample's known answers. All the counting is SQL.

A measure is a query whose rows are either hits or misses; its figure is the share of hits. Where the answers leave a
value open (null, or `is_..._known` false) there is nothing to measure. Names are compared with ё as е. A sample whose
manifest says what its answers speak of (`measured`, how the names of measures begin) is measured by just that.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import duckdb

FACTS = {  # column of the mart -> the answer's, or how it reads there; compared as text
    "kpp": "kpp",
    "ogrn": "ogrn",
    "title": "title",
    "full_name": "full_name",
    "opf": "opf",
    "director_name": "director_name",
    "director_post": "director_post",
    "legal_address": "legal_address",
    "bank_name": "bank_name",
    "bik": "bik",
    "account": "account",
    "corr_account": "corr_account",
    "registry_status": "registry_status",
    "sources": "array_to_string(a.sources, ', ')",
    "order_count": "order_count",
    "order_total": "order_total",
    "last_order_at": "last_order_at",
}

PREPARED = """
create temp table placed as
select c.source, c.source_id, c.person_key, c.outcome, x.contact_id, c.is_certain
from answer_contacts c left join marts.xref_contacts x on x.source = c.source and x.source_id = c.source_id;
-- a person's contact: the one most of the person's records are in
create temp table person_contacts as
select person_key, arg_max(contact_id, (n, contact_id)) as contact_id
from (select person_key, contact_id, count(*) as n from placed where person_key is not null group by all) group by 1;
create temp table unclear as select distinct contact_id from placed where person_key is null and contact_id is not null;
create temp table expected_links as
select person_key, contact_id, company_key from answer_links join person_contacts using (person_key);
create temp table found_links as
select contact_id, inn from marts.crm_company_contacts join marts.crm_companies using (company_id)
where contact_id not in (from unclear);
create temp table clusters as
select contact_id, person_key, count(*) as n from placed
where person_key is not null and contact_id is not null group by all;
create temp table people as
select p.contact_id, a.*, m.last_name as got_last, m.first_name as got_first, m.second_name as got_second,
       m.phones as got_phones, m.emails as got_emails
from answer_golden_contacts a join person_contacts p using (person_key)
left join marts.crm_contacts m using (contact_id);
"""

PAIRS = "coalesce(sum(n * (n - 1)) / 2, 0)"
FOLD = "replace(replace(lower({}), 'ё', 'е'), '-', ' ')"


@dataclass(frozen=True)
class Measure:
    """`share` yields one figure, or null; `misses` lists what went wrong; `at_least` is the bar."""

    name: str
    at_least: float
    share: str
    misses: str


def _hits(name: str, at_least: float, rows: str) -> Measure:
    return Measure(
        name, at_least, f"select avg(hit::int) from ({rows})", f"select * exclude (hit) from ({rows}) where not hit"
    )


def _set(name: str, at_least: float, expected: str, found: str) -> list[Measure]:
    """Precision and recall of a set of rows."""
    return [
        _covered(f"{name}: precision", at_least, found, expected),
        _covered(f"{name}: recall", at_least, expected, found),
    ]


def _covered(name: str, at_least: float, rows: str, by: str) -> Measure:
    """The share of `rows` that are among those of `by`."""
    misses = f"{rows} except {by}"
    count = f"nullif((select count(*) from ({rows})), 0)"
    return Measure(name, at_least, f"select 1 - (select count(*) from ({misses})) / {count}", misses)


MEASURES = [
    Measure(
        "contact pairs: precision",
        0.9995,
        f"""select (select {PAIRS} from clusters)
            / nullif((select {PAIRS} from (select sum(n) as n from clusters group by contact_id)), 0)""",
        """select contact_id, list(person_key) as merged_persons from clusters group by 1 having count(*) > 1""",
    ),
    Measure(
        "contact pairs: recall",
        0.995,
        f"""select (select {PAIRS} from clusters)
            / nullif((select {PAIRS} from (select count(*) as n from placed where person_key is not null
                                           group by person_key)), 0)""",
        """select person_key, list(distinct contact_id) as contacts, count(*) as records from placed
           where person_key is not null group by 1 having count(distinct coalesce(contact_id, '')) > 1""",
    ),
    _hits(
        "traps not merged",
        1.0,
        """select trap, source_1, source_id_1, source_2, source_id_2, l.contact_id is distinct from r.contact_id as hit
           from answer_traps t
           join placed l on l.source = t.source_1 and l.source_id = t.source_id_1
           join placed r on r.source = t.source_2 and r.source_id = t.source_id_2
           where not must_merge and l.contact_id is not null""",
    ),
    *_set(
        "companies",
        1.0,
        "select company_key from answer_golden_companies",
        "select inn as company_key from marts.crm_companies",
    ),
    _hits(
        "companies: no INN twice",
        1.0,
        "select inn, count(*) as cards, count(*) = 1 as hit from marts.crm_companies group by inn",
    ),
    _hits(
        "source companies: placed or rejected rightly",
        0.999,
        # The service always answers, so what the file of verdicts lacks is unknown to it.
        """select a.source, a.source_id, a.outcome,
                  coalesce(r.reason, if(x.company_id is null, null, 'published')) as got,
                  coalesce(
                      a.outcome = got or (a.outcome = 'awaiting_verdict' and got = 'unknown_to_registry'), false
                  ) as hit
           from answer_companies a
           left join marts.rejected_companies r on r.source = a.source and r.source_id = a.source_id
           left join marts.xref_companies x on x.source = a.source and x.source_id = a.source_id""",
    ),
    _hits(
        "source contacts: placed or rejected rightly",
        0.999,
        """select a.source, a.source_id, a.outcome, a.company_reason,
                  coalesce(r.reason, if(x.contact_id is null, null, 'published')) as got,
                  coalesce(if(a.outcome = 'gone', 'deleted', a.outcome) = got, false) as hit
           from answer_contacts a
           left join marts.rejected_contacts r on r.source = a.source and r.source_id = a.source_id
           left join marts.xref_contacts x on x.source = a.source and x.source_id = a.source_id""",
    ),
    _hits(
        "phones: exact sets",
        0.995,
        """select person_key, contact_id, phones, got_phones,
                  coalesce(list_sort(list_distinct(phones)) = list_sort(coalesce(got_phones, [])), false) as hit
           from people where phones is not null""",
    ),
    _hits(
        "e-mails: exact sets",
        0.995,
        """select person_key, contact_id, emails, got_emails,
                  coalesce(list_sort(list_distinct(emails)) = list_sort(coalesce(got_emails, [])), false) as hit
           from people where emails is not null""",
    ),
    *(
        _hits(
            f"names: {column}",
            0.995,
            f"""select person_key, contact_id, {column}_name, got_{column},
                       coalesce({FOLD.format(f"{column}_name")} = {FOLD.format(f"got_{column}")}, false) as hit
                from people where {column}_name is not null""",
        )
        for column in ("last", "first", "second")
    ),
    *_set(
        "links",
        0.995,
        "select contact_id, company_key from expected_links where contact_id not in (from unclear)",
        "select contact_id, inn as company_key from found_links",
    ),
    _hits(
        "links: one primary a contact",
        1.0,
        "select contact_id, count_if(is_primary) as primaries, primaries = 1 as hit "
        "from marts.crm_company_contacts group by contact_id",
    ),
    *(
        _hits(
            f"company {column}",
            0.995,
            f"""select a.company_key, {answer if "(" in answer else f"a.{answer}"} as answer, m.{column} as got,
                       answer::varchar is not distinct from got::varchar as hit
                from answer_golden_companies a join marts.crm_companies m using (inn)""",
        )
        for column, answer in FACTS.items()
    ),
    *_set("deals", 1.0, "select deal_id from answer_deals where is_in_period", "select deal_id from marts.crm_deals"),
    _hits(
        "deals: company, status, sum, contact",
        0.995,
        """select deal_id, a.company_key, c.inn, a.status, d.status as got_status, a.amount, d.amount as got_amount,
                  p.contact_id, d.contact_id as got_contact,
                  a.company_key = c.inn and a.status = d.status and a.amount = d.amount
                  and a.ordered_at = d.ordered_at and a.currency = d.currency
                  and (not is_contact_known or p.contact_id is not distinct from d.contact_id) as hit
           from answer_deals a join marts.crm_deals d using (deal_id) left join marts.crm_companies c using (company_id)
           left join person_contacts p using (person_key) where is_in_period""",
    ),
]


@dataclass(frozen=True)
class Figure:
    """What a measure gave: `share` is null where there was nothing to measure."""

    measure: Measure
    share: float | None
    misses: list[tuple]
    columns: list[str]

    @property
    def is_good(self) -> bool:
        """A measure of nothing is not good: the answers always hold something of every kind."""
        return self.share is not None and self.share >= self.measure.at_least


CLASSES = """
select trap, if(must_merge, 'one', 'apart') as should_be, count(*),
       avg(((l.contact_id is not distinct from r.contact_id) = must_merge)::int) as share
from answer_traps t
join placed l on l.source = t.source_1 and l.source_id = t.source_id_1
join placed r on r.source = t.source_2 and r.source_id = t.source_id_2
where l.contact_id is not null
group by all order by should_be desc, share, trap
"""
TITLES = """
select a.defect, 'named so', count(*), avg((a.title is not distinct from m.title)::int) as share
from answer_golden_companies a left join marts.crm_companies m using (inn) group by all order by share, a.defect
"""


@dataclass(frozen=True)
class DefectClass:
    """Pairs of records (or titles) laid as one kind of defect, and the share that came out as it should."""

    name: str
    should_be: str  # one | apart | named so
    count: int
    share: float


def _opened(sample: Path, warehouse: Path, day: int) -> duckdb.DuckDBPyConnection:
    answers = (sample if day == 1 else sample / "day_two") / "answers"
    con = duckdb.connect(str(warehouse), read_only=True)
    con.execute("set timezone = 'UTC'")
    for path in sorted(answers.glob("*.parquet")):
        con.execute(f"create temp view answer_{path.stem} as from '{path}'")
    con.execute(PREPARED)
    return con


def measure_classes(sample: Path, warehouse: Path, *, day: int = 1) -> list[DefectClass]:
    """The pairs of a sample by their class of defect, and the titles where it tells what is wrong with them."""
    with _opened(sample, warehouse, day) as con:
        rows = con.execute(CLASSES).fetchall()
        if "defect" in con.table("answer_golden_companies").columns:
            rows += con.execute(TITLES).fetchall()
    return [DefectClass(*row) for row in rows]


def measure_quality(sample: Path, warehouse: Path, *, day: int = 1, show: int = 0) -> list[Figure]:
    """Compare the marts of a warehouse with a sample's answers of a day; each figure with up to `show` misses."""
    measured = tuple(json.loads((sample / "manifest.json").read_text()).get("measured", [""]))
    con = _opened(sample, warehouse, day)
    figures = []
    for measure in MEASURES:
        if not measure.name.startswith(measured):
            continue
        (share,) = con.execute(measure.share).fetchone()
        missed = con.execute(f"from ({measure.misses}) order by all limit {show}") if show else None
        columns = [column[0] for column in missed.description] if missed else []
        figures.append(Figure(measure, share, missed.fetchall() if missed else [], columns))
    con.close()
    return figures
