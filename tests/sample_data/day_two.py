"""The second day: what changed at the sources overnight, each kind of change at companies of its own.

Only records are touched whose golden record is easy to tell: the one record of its INN, people known from that record
alone, full names, no trap among them. So every change has one right consequence, and it can be computed.
"""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb

from .shop_b import MOSCOW_OFFSET, iso, utc_of
from .staff import Staff
from .tables import SHOP_A, TRUTH
from .vocabulary import folded, vocabulary
from .world import Group, Record, World

PER_SCENARIO = 20  # at scale 1
HISTORY_LINES = 4_000  # of the file whose companies may change; the rest of the candidates are in the topic

CANDIDATES = """
create table known as
select inn, any_value(source) as source, any_value(source_id) as source_id from true_companies
where inn is not null group by inn having count(*) = 1;
create table person_of as
select e.source, e.company_source_id, p.* exclude (source),
       p.person_id is not null and p.fault is null and are_values_known and not is_typo and employers = 1
       and last_name is not null and trap.source_id_1 is null
       and count(*) over (partition by p.person_id) = 1 as is_plain
from true_employments e
join (select source, source_id, count(*) as employers from true_employments group by all) n using (source, source_id)
join true_persons p using (source, source_id)
left join (select source_1, source_id_1 from true_traps union select source_2, source_id_2 from true_traps) trap
    on trap.source_1 = e.source and trap.source_id_1 = e.source_id;
create table candidates as
select c.*, o.outcome
from true_companies c join outcomes o using (source, source_id)
left join known k using (source, source_id)
where (k.inn is not null or c.fault in ('missing_inn', 'invalid_inn'))
  and not exists (from person_of p where p.source = c.source and p.company_source_id = c.source_id
                  and p.fault is distinct from 'gone' and not p.is_plain);
create table order_of as from true_orders;
create index person_of_company on person_of (company_source_id);
create index order_of_company on order_of (company_source_id);
"""


def rows(con: duckdb.DuckDBPyConnection, query: str, params: list | None = None) -> list[dict[str, Any]]:
    found = con.execute(query, params or [])
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


class Firm:
    """A record of day one with what is true of it and of its people and orders, ready to be changed."""

    def __init__(self, record: Record, truth: dict, persons: list[dict], orders: list[dict]) -> None:
        self.record, self.truth, self.persons, self.orders = record, truth, persons, orders
        self.source, self.source_id = record.source, record.source_id

    @property
    def in_a(self) -> bool:
        return self.source == "shop_a"

    def person(self, *, with_phone: bool = False, without_orders: bool = False) -> dict | None:
        """One of the people with a full name that is spelt in one way only."""
        busy = {order["person_source_id"] for order in self.orders} if without_orders else ()
        for person in self.persons:
            if not person["full_name"] or "ё" in person["full_name"] + folded_out(person):
                continue
            if person["source_id"] not in busy and (person["phones"] or not with_phone):
                return person
        return None

    def order(self, *statuses: str) -> dict | None:
        fresh = (o for o in self.orders if o["status"] in statuses and o["is_fresh"])
        return next(fresh, None)


def folded_out(person: dict) -> str:
    """The person's names as they are, to see whether a `ё` is in them."""
    return f"{person['last_name']}{person['first_name']}{person['second_name']}".lower()


class DayTwo:
    """Makes the changes; `scenarios` maps (source, company's source id) to the change made there."""

    def __init__(self, world: World) -> None:
        self.world, self.rng, self.staff, self.people = world, world.rng, Staff(world), world.people
        self.scenarios: dict[tuple[str, str], str] = {}
        self._con = duckdb.connect()
        for name in TRUTH:
            self._con.execute(f"create view true_{name} as from '{world.out / 'truth' / f'{name}.parquet'}'")
        self._con.execute(f"create view outcomes as from '{world.out / 'answers' / 'companies.parquet'}'")
        self._con.execute(CANDIDATES)
        for name in SHOP_A:
            self._con.execute(f"create table {name} as from '{world.out / 'shop_a' / f'{name}.parquet'}'")
            self._con.execute(f"create index {name}_by_id on {name} (id)")
        self._con.execute(f"create table registry as from '{world.out / 'registry.parquet'}'")
        self._con.execute("create index registry_by_inn on registry (inn)")
        self._pools: dict[tuple[str, str], Iterator[Firm]] = {}
        self._waiting: dict[tuple[str, str], list[Firm]] = {}
        self._documents = self._current_documents(world.out / "shop_b")
        self._stems = {folded(name): s.stem for s in vocabulary().surnames for name in (s.male, s.female)}

    def happen(self, count: int) -> None:
        """Every scenario `count` times; those that both shops can see, in both."""
        both: tuple[tuple[str, Callable[[Firm], bool]], ...] = (
            ("phone_changed", self._phone_changed),
            ("email_added", self._email_added),
            ("noise", self._noise),
            ("new_contact", self._new_contact),
            ("contact_deleted", self._contact_deleted),
            ("new_order", self._new_order),
            ("order_done", lambda firm: self._order_status(firm, "done", "paid", "shipped")),
            ("order_cancelled", lambda firm: self._order_status(firm, "cancelled", "new", "paid", "shipped")),
            ("bank_changed", self._bank_changed),
            ("inn_corrected", self._inn_corrected),
            ("company_deleted", self._company_deleted),
            ("company_closed", lambda firm: self._new_verdict(firm, "LIQUIDATED")),
        )
        for scenario, change in both:
            for source in ("shop_a", "shop_b"):
                self._repeat(scenario, count, source, "published", change)
        self._repeat("contact_moved", count, "shop_a", "published", self._contact_moved)
        self._repeat("person_joins_company", count, "shop_b", "published", self._person_joins)
        self._repeat("old_event", count, "shop_b", "published", self._old_event)
        self._repeat("inn_filled_in", count, "shop_a", "missing_inn", self._inn_corrected)
        self._repeat("company_wakes_up", count, "shop_a", "outside_period", self._new_order)
        for outcome in ("not_active", "unknown_to_registry"):
            for source in ("shop_a", "shop_b"):
                self._repeat("company_revived", count, source, outcome, lambda firm: self._new_verdict(firm, "ACTIVE"))
        for _ in range(count):
            self._new_company(1, 0)
            self._new_company(0, 1)
        self.world.topic.break_some(1, self.world.in_period())
        self._con.close()

    def _repeat(self, scenario: str, count: int, source: str, outcome: str, change: Callable[[Firm], bool]) -> None:
        """Change firms until `count` of them suited; those that did not are left for the other scenarios."""
        pool = (source, outcome)
        left, unsuited = count, []
        waiting = self._waiting.pop(pool, [])
        firms = self._pools.setdefault(pool, self._firms(source, outcome))
        while left and (firm := waiting.pop(0) if waiting else next(firms, None)):
            if change(firm):
                self.scenarios[firm.source, firm.source_id] = scenario
                left -= 1
            else:
                unsuited.append(firm)
        self._waiting[pool] = unsuited + waiting

    # ----- reading day one

    def _current_documents(self, folder: Path) -> dict[str, dict]:
        """Newest documents of companies from the topic and from the beginning of one file, by uid."""
        documents: dict[str, dict] = {}
        with (folder / "history-3-cp1251.json").open(encoding="cp1251") as file:
            for line in islice(file, 1, HISTORY_LINES):
                if line.startswith("{"):
                    document = json.loads(line.rstrip().removesuffix(","))
                    documents[document["uid"]] = document
        with (folder / "events.ndjson").open(encoding="utf-8") as file:
            for line in islice(file, HISTORY_LINES):
                value = json.loads(line).get("value")
                if not value or '"company": {"uid"' not in value or not value.endswith("}}"):
                    continue
                document = json.loads(value)["company"]
                if document.get("changed_at", "") > documents.get(document["uid"], {}).get("changed_at", ""):
                    documents[document["uid"]] = document
        return documents

    def _firms(self, source: str, outcome: str) -> Iterator[Firm]:
        """The candidates in an order of their own, each once."""
        found = rows(
            self._con,
            """from candidates
               where source = ? and outcome = ? and (source = 'shop_a' or source_id in (select unnest(?)))
               order by hash(source_id || ?), source_id limit 2000""",
            [source, outcome, list(self._documents), str(self.rng.random())],
        )
        for truth in found:
            source_id = truth["source_id"]
            if source == "shop_a":
                row = self._row("clients", source_id)
            else:
                row = self._documents.get(source_id)
                if row is None or row["changed_at"] != iso(truth["changed_at"] + MOSCOW_OFFSET):
                    continue  # its newest version is elsewhere
            persons = rows(
                self._con,
                "select * exclude (company_source_id, is_plain) from person_of "
                "where source = ? and company_source_id = ? and fault is null order by source_id",
                [source, source_id],
            )
            orders = rows(
                self._con,
                "select *, ordered_at >= ? as is_fresh from order_of "
                "where source = ? and company_source_id = ? and fault is null order by source_id",
                [self.world.since, source, source_id],
            )
            group = Group(None, "published", [], True, None, None)
            for person in persons:
                stem = self._stems.get(folded(person["last_name"] or ""))
                letters = [person["first_name"][0]] if person["first_name"] else "абвгдежзийклмнопрстуфхцчшщъыьэюя"
                group.likenesses |= {(stem, folded(letter)) for letter in letters}
            record = Record(source, source_id, group, None, self.world.in_period(), row=row)
            record.persons = [(person["source_id"], None) for person in persons]
            del truth["outcome"]
            yield Firm(record, truth, persons, orders)

    def _row(self, table: str, key: str | int) -> dict[str, Any]:
        return rows(self._con, f"from {table} where id = ?", [int(key)])[0]

    # ----- writing

    def _true(self, table: str, truth: dict, **changes: Any) -> None:
        truth |= changes | {"changed_at": utc_of(self.world.in_period())}
        self.world.truth[table].add(tuple(truth[name] for name in TRUTH[table].names))

    def _send(self, table: str, row: dict[str, Any], **changes: Any) -> None:
        """A row of shop A, changed today."""
        row |= changes | {"updated_at": self.world.in_period()}
        self.world.shop_a[table].add(tuple(row[name] for name in SHOP_A[table].names))

    def _publish(self, firm: Firm, **truth: Any) -> None:
        """The company itself changed: shop A's row, or shop B's whole document as an event."""
        self._true("companies", firm.truth, **truth)
        if firm.in_a:
            self._send("clients", firm.record.row)
        else:
            at = self.world.in_period()
            firm.record.row["changed_at"] = iso(at)
            self.world.topic.upsert(firm.record.row, at)

    def _edit_person(self, firm: Firm, person: dict, **truth: Any) -> None:
        """New phones or e-mails of a person, typed anew."""
        self._true("persons", person, **truth)
        phones = [self.people.typed_phone(phone) for phone in person["phones"]]
        emails = [self.people.typed_email(email) for email in person["emails"]]
        if firm.in_a:
            row = self._row("client_contacts", person["source_id"])
            mails = self.people.one_field(emails, for_emails=True)
            self._send("client_contacts", row, phone=self.people.one_field(phones), email=mails)
        else:
            listed = next(p for p in firm.record.row["persons"] if p["uid"] == person["source_id"])
            listed |= {"phones": phones, "emails": emails, "changed_at": iso(self.world.in_period())}
            self._publish(firm)

    # ----- scenarios: True when the firm suited

    def _phone_changed(self, firm: Firm) -> bool:
        if not (person := firm.person(with_phone=True)):
            return False
        self._edit_person(firm, person, phones=[self.people.phone(), *person["phones"][1:]])
        return True

    def _email_added(self, firm: Firm) -> bool:
        if not (person := firm.person()):
            return False
        self._edit_person(firm, person, emails=[*person["emails"], f"day.two{person['source_id'].strip('p-')}@mail.ru"])
        return True

    def _noise(self, firm: Firm) -> bool:
        """Spaces, case and forms of writing: nothing for the CRM."""
        person = firm.person(with_phone=True)
        row, name = firm.record.row, "name" if firm.in_a else "title"
        if not person or len(row[name]) > 250:
            return False
        row |= {name: f"  {row[name]} ", "inn": f" {firm.truth['inn'][:4]} {firm.truth['inn'][4:]}"}
        if firm.in_a:
            self._publish(firm)
        self._edit_person(firm, person)
        return True

    def _new_contact(self, firm: Firm) -> bool:
        self._add_someone(firm.record)
        if not firm.in_a:
            self._publish(firm)
        return True

    def _add_someone(self, record: Record) -> None:
        while True:
            human = self.people.make()
            if human.likeness not in record.group.likenesses and human.phones:
                break
        typed = self.people.typed(human, narrow=record.source == "shop_a", form="full")
        self.staff.add_person(record, human, typed)

    def _contact_deleted(self, firm: Firm) -> bool:
        if not (person := firm.person(without_orders=True)):
            return False
        if firm.in_a:
            self._send("client_contacts", self._row("client_contacts", person["source_id"]), is_deleted=1)
            self._true("persons", person, fault="deleted")
        else:
            listed = firm.record.row["persons"]
            listed[:] = [p for p in listed if p["uid"] != person["source_id"]]
            self._true("persons", person, fault="gone")
            self._publish(firm)
        return True

    def _new_order(self, firm: Firm) -> bool:
        self.staff.add_order(firm.record, must_be_fresh=True)
        if firm.in_a:
            self._true("companies", firm.truth, is_in_period=True)  # the shop does not touch the client's own row
        else:
            self._publish(firm)
        return True

    def _order_status(self, firm: Firm, status: str, *before: str) -> bool:
        if not (order := firm.order(*before)):
            return False
        if firm.in_a:
            self._send("orders", self._row("orders", order["source_id"]), status=status)
        else:
            listed = next(o for o in firm.record.row["orders"] if o["uid"] == order["source_id"])
            listed |= {"status": status, "changed_at": iso(self.world.in_period())}
            self._publish(firm)
        self._true("orders", order, status=status)
        return True

    def _bank_changed(self, firm: Firm) -> bool:
        name, bik, corr = self.rng.choice(self.world.companies.banks)
        account = self.people.identifiers.account(bik, legal=len(firm.truth["inn"]) == 10)
        unit = {"bank_name": name, "bik": bik, "account": account, "corr_account": corr}
        if firm.in_a:
            firm.record.row |= unit
        else:
            firm.record.row["bank"] = {"name": name, "bik": bik, "account": account, "corr_account": corr}
        self._publish(firm, **unit)
        return True

    def _inn_corrected(self, firm: Firm) -> bool:
        """Another INN, of a company that the register knows: the same card with that company's facts."""
        verdict = self._verdict(len(firm.truth["inn"] or "1234567890"))
        self.world.registry.add(tuple(verdict.values()))
        firm.record.row["inn"] = verdict["inn"]
        self._publish(firm, inn=verdict["inn"], fault=None)
        return True

    def _verdict(self, digits: int) -> dict[str, Any]:
        """The register's entry of a company it names, with an INN of so many digits."""
        while True:
            company = self.world.companies.make(legal=digits == 10)
            if company.is_named_by_registry:
                return next(v for v in company.verdicts if v["status"] == "ACTIVE")

    def _company_deleted(self, firm: Firm) -> bool:
        if firm.in_a:
            firm.record.row["is_deleted"] = 1
            self._publish(firm, fault="deleted")
            return True
        self._true("companies", firm.truth, fault="deleted")
        for person in firm.persons:
            self._true("persons", person, fault="gone")
        for order in firm.orders:
            self._true("orders", order, fault="gone")
        self.world.topic.delete(firm.source_id, self.world.in_period(), tombstone=self.rng.random() < 0.5)
        return True

    def _new_verdict(self, firm: Firm, status: str) -> bool:
        """The register changes its mind; the shops know nothing of it."""
        inn = firm.truth["inn"]
        before = rows(self._con, "from registry where inn = ?", [inn])
        verdict = before[0] if len(before) == 1 and before[0]["short_name"] else self._verdict(len(inn))
        self.world.registry.add(tuple((verdict | {"inn": inn, "status": status}).values()))
        return True

    def _contact_moved(self, firm: Firm) -> bool:
        person = firm.person(without_orders=True)
        other = next(self._pools["shop_a", "published"], None) if person else None
        if not other or {folded(p["last_name"] or "")[:4] for p in other.persons} & {folded(person["last_name"])[:4]}:
            return False
        self._send("client_contacts", self._row("client_contacts", person["source_id"]), client_id=int(other.source_id))
        self._true("persons", person)
        self.world.truth["employments"].add(("shop_a", person["source_id"], other.source_id))
        self.scenarios[other.source, other.source_id] = "contact_moved"
        return True

    def _person_joins(self, firm: Firm) -> bool:
        """Somebody shop B knows turns up at a client of shop A, with the same name, phones and e-mails."""
        person = firm.person(with_phone=True)
        if not person or person["phones"][0][:3] != "+79":
            return False
        other = next(self._pools["shop_a", "published"], None)
        if not other or {folded(p["last_name"] or "")[:4] for p in other.persons} & {folded(person["last_name"])[:4]}:
            return False
        number, now = self.world.next_id("client_contact"), self.world.in_period()
        phone, emails = self.people.typed_phone(person["phones"][0]), person["emails"][:1]
        name = f"{person['last_name']} {person['first_name']} {person['second_name']}"
        post = next(p.get("post") for p in firm.record.row["persons"] if p["uid"] == person["source_id"])
        row = (number, int(other.source_id), name, post, phone, emails[0] if emails else None, 0, now, now)
        self.world.shop_a["client_contacts"].add(row)
        joined = {"source": "shop_a", "source_id": str(number), "phones": person["phones"][:1], "emails": emails}
        self._true("persons", person | joined)
        self.world.truth["employments"].add(("shop_a", str(number), other.source_id))
        self.scenarios[other.source, other.source_id] = "person_joins_company"
        return True

    def _old_event(self, firm: Firm) -> bool:
        """An event that occurred long ago arrives today, and today's news are repeated: nothing for the CRM."""
        before = self.world.since - timedelta(days=30)
        past = {"uid": firm.source_id, "title": "Прежнее имя", "inn": firm.truth["inn"], "persons": [], "orders": []}
        self.world.topic.upsert(past | {"changed_at": iso(before)}, before, sent=self.world.in_period())
        return True

    def _new_company(self, in_a: int, in_b: int) -> None:
        (record,) = self.world.make_group(in_a, in_b, "published").records
        self._add_someone(record)
        self.staff.add_order(record, must_be_fresh=True)
        if in_a:
            self.world.shop_a["clients"].add(tuple(record.row.values()))
        else:
            self.world.topic.upsert(record.row, record.changed_at)
        self.scenarios[record.source, record.source_id] = "new_company"
