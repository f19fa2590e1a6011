"""Companies and contacts as the two shops hold them, and the truth beside each; written as the contract describes."""

import csv
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from stdnum.ru import inn as numbers

from tests.sample_data.tables import SHOP_A, TRAPS

from . import titles
from .habits import latin, typed_email, typed_phone
from .names import Name, Names

SINCE = datetime(2025, 1, 1)
HOSTS = ("mail.ru", "yandex.ru", "gmail.com", "bk.ru")
MEASURED = ["contact pairs", "traps", "companies", "source c", "phones", "e-mails", "names", "links", "company title"]
TEXT, TEXTS = pa.string(), pa.list_(pa.string())


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


ANSWERS = {
    "contacts": _schema(
        source=TEXT,
        source_id=TEXT,
        person_key=TEXT,
        outcome=TEXT,
        company_reason=TEXT,
        is_certain=pa.bool_(),
    ),
    "golden_contacts": _schema(
        person_key=TEXT, last_name=TEXT, first_name=TEXT, second_name=TEXT, phones=TEXTS, emails=TEXTS
    ),
    "links": _schema(person_key=TEXT, company_key=TEXT),
    "companies": _schema(source=TEXT, source_id=TEXT, company_key=TEXT, outcome=TEXT),
    "golden_companies": _schema(company_key=TEXT, inn=TEXT, title=TEXT, defect=TEXT),
    "traps": TRAPS.append(pa.field("must_merge", pa.bool_())),
}


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}+03:00"


@dataclass
class Card:
    """A company as one shop holds it."""

    source: str
    source_id: str
    row: dict[str, Any]


@dataclass
class Company:
    inn: str
    outcome: str
    title: str
    defect: str
    domain: str
    switchboard: str
    cards: list[Card] = field(default_factory=list)
    likenesses: set[tuple[str, str]] = field(default_factory=set)


@dataclass
class Person:
    """Somebody true, with a mobile and a mailbox of their own; `named` is what the fullest record gives surely."""

    key: str
    name: Name
    mobile: str
    email: str
    defect: str
    named: tuple[str | None, str | None, str | None] = (None, None, None)
    phones: set[str] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)
    companies: set[str] = field(default_factory=set)
    records: list[tuple[str, str]] = field(default_factory=list)


class World:
    """Makes companies and people and keeps what is written of them."""

    def __init__(self, rng: Random, companies: int) -> None:
        self.rng, self.names = rng, Names(rng)
        self.rows: dict[str, list[dict[str, Any]]] = {"clients": [], "client_contacts": [], "orders": []}
        self.documents: list[dict[str, Any]] = []
        self.answers: dict[str, list[dict[str, Any]]] = {name: [] for name in ANSWERS}
        self.people: list[Person] = []
        self._phones: set[str] = set()
        self._inns: set[str] = set()
        self._count = self._uids = 0
        self.companies = [self._company() for _ in range(companies)]
        self.rejected = [company for company in self.companies if company.outcome != "published"]
        self.published = [company for company in self.companies if company.outcome == "published"]

    # ----- companies

    def _company(self) -> Company:
        rng = self.rng
        inn = self._new_inn()
        if rng.random() < 0.33:
            name, title, defect = titles.institution(rng)
        else:
            name, title, defect = titles.firm(rng, self.names.surname()[0], len(self.answers["golden_companies"]))
        typed, outcome = self._typed_inn(inn)
        company = Company(inn, outcome, title, defect, f"firma-{inn}.ru", self.phone("495"))
        for source in rng.choice((("shop_a",), ("shop_b",), ("shop_b",), ("shop_a", "shop_b"))):
            self._card(company, source, name, typed)
        if outcome == "published":
            self.answers["golden_companies"].append({"company_key": inn, "inn": inn, "title": title, "defect": defect})
        return company

    def _new_inn(self) -> str:
        """An INN of a legal entity that nobody has yet."""
        while True:
            digits = f"{self.rng.randrange(1, 93):02}{self.rng.randrange(10**7):07}"
            inn = digits + numbers.calc_company_check_digit(digits)
            if inn not in self._inns:
                self._inns.add(inn)
                return inn

    def _typed_inn(self, inn: str) -> tuple[str, str]:
        """As typed, and what becomes of the company."""
        rng, chance = self.rng, self.rng.random()
        if chance < 0.04:  # as a spreadsheet shows a number in a narrow column
            digits = str(int(inn))
            mantissa = f"{digits[0]}{rng.choice(',.')}{digits[1 : rng.choice((3, 4, 6))]}"
            return f"{mantissa}E+{len(digits) - 1:02}", "invalid_inn"
        if chance < 0.06:  # the same with all its digits
            return f"{inn[0]},{inn[1:]}E+09" if inn[0] != "0" else inn, "published"
        if chance < 0.08:
            return rng.choice(("-", "нет", "")), "missing_inn"
        return rng.choice((inn, inn, inn, f"ИНН {inn}", f" {inn}", f"{inn}/770101001")), "published"

    def _card(self, company: Company, source: str, name: str, typed_inn: str) -> None:
        created, changed = self.moment(), self.moment()
        if source == "shop_a":
            source_id = str(len(self.rows["clients"]) + 1)
            row = dict.fromkeys(SHOP_A["clients"].names) | {
                "id": int(source_id), "name": name, "inn": typed_inn, "is_deleted": 0, "created_at": created,
                "updated_at": changed,
            }  # fmt: skip
            self.rows["clients"].append(row)
        else:
            source_id = f"c{len(self.documents) + 1:06}"
            row = {"uid": source_id, "title": name, "inn": typed_inn, "persons": [], "orders": []}
            row |= {"created_at": _iso(created), "changed_at": _iso(changed)}
            self.documents.append(row)
        company.cards.append(Card(source, source_id, row))
        self.answers["companies"].append(
            {"source": source, "source_id": source_id, "outcome": company.outcome,
             "company_key": company.inn if company.outcome == "published" else None}
        )  # fmt: skip

    # ----- people

    def moment(self) -> datetime:
        return SINCE + timedelta(seconds=self.rng.randrange(500 * 86400))

    def phone(self, code: str | None = None) -> str:
        """A number that nobody has yet; a mobile unless a town's code is given."""
        while True:
            number = f"+7{code or '9' + str(self.rng.randrange(10, 70))}{self.rng.randrange(2_000_000, 10_000_000)}"
            if number not in self._phones:
                self._phones.add(number)
                return number

    def person(self, defect: str, name: Name | None = None) -> Person:
        name = name or self.names.make()
        self._count += 1
        email = f"{latin(name.last)}.{self._count}@{self.rng.choice(HOSTS)}"
        person = Person(f"person-{self._count}", name, self.phone(), email, defect)
        self.people.append(person)
        return person

    def places(self, name: Name, count: int) -> list[Company]:
        """Different published companies where nobody is like this person; from now on the person is."""
        found: list[Company] = []
        while len(found) < count:
            company = self.rng.choice(self.published)
            if name.likeness not in company.likenesses:
                company.likenesses.add(name.likeness)
                found.append(company)
        return found

    def record(
        self,
        company: Company,
        person: Person,
        text: str | None,
        *,
        phones: tuple[str, ...] = (),
        emails: tuple[str, ...] = (),
        gives: tuple[str | None, str | None, str | None] | None = None,
        is_certain: bool = True,
        outcome: str = "published",
    ) -> tuple[str, str]:
        """Write a contact of a company, under any of its cards; (source, source_id). `gives`: what its name proves."""
        rng, card = self.rng, self.rng.choice(company.cards)
        typed_phones = [typed_phone(rng, phone) for phone in phones]
        typed_emails = [typed_email(rng, email) for email in emails]
        changed = self.moment()
        if card.source == "shop_a":
            source_id = str(len(self.rows["client_contacts"]) + 1)
            self.rows["client_contacts"].append({
                "id": int(source_id), "client_id": int(card.source_id), "full_name": text, "position": None,
                "phone": ", ".join(typed_phones) or None, "email": "; ".join(typed_emails) or None, "is_deleted": 0,
                "created_at": changed, "updated_at": changed,
            })  # fmt: skip
        else:
            self._uids += 1
            source_id = f"p{self._uids:07}"
            card.row["persons"].append({
                "uid": source_id, "fio": text, "post": None, "phones": typed_phones, "emails": typed_emails,
                "changed_at": _iso(changed),
            })  # fmt: skip
        if company.outcome != "published" and outcome == "published":
            outcome = "company_rejected"
        is_placed = outcome == "published"
        self.answers["contacts"].append({
            "source": card.source, "source_id": source_id, "outcome": outcome,
            "person_key": person.key if is_placed and is_certain else None,
            "company_reason": company.outcome if outcome == "company_rejected" else None, "is_certain": is_certain,
        })  # fmt: skip
        if is_placed and is_certain:
            person.phones.update(phones)
            person.emails.update(emails)
            person.companies.add(company.inn)
            person.records.append((card.source, source_id))
            if gives:
                person.named = gives
        return card.source, source_id

    def trap(self, name: str, one: tuple[str, str], other: tuple[str, str], *, must_merge: bool = False) -> None:
        """Two records that must stay apart, or that must be one."""
        self.answers["traps"].append({
            "trap": name, "source_1": one[0], "source_id_1": one[1], "source_2": other[0], "source_id_2": other[1],
            "must_merge": must_merge,
        })  # fmt: skip

    # ----- the files

    def write(self, out: Path) -> None:
        """Both shops' sources, the registry's verdicts and the answers."""
        for person in self.people:
            if not person.companies:
                continue
            for record in person.records[1:]:
                self.trap(person.defect, person.records[0], record, must_merge=True)
            last, first, second = person.named
            self.answers["golden_contacts"].append({
                "person_key": person.key, "last_name": last, "first_name": first, "second_name": second,
                "phones": sorted(person.phones), "emails": sorted(person.emails),
            })  # fmt: skip
            self.answers["links"] += [
                {"person_key": person.key, "company_key": inn} for inn in sorted(person.companies)
            ]
        for folder in ("shop_a", "shop_b", "answers"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        for table, rows in self.rows.items():
            pq.write_table(pa.Table.from_pylist(rows, SHOP_A[table]), out / "shop_a" / f"{table}.parquet")
        for name, rows in self.answers.items():
            pq.write_table(pa.Table.from_pylist(rows, ANSWERS[name]), out / "answers" / f"{name}.parquet")
        history = {"shop": "B", "exported_at": "2026-10-01T03:00:00+03:00", "companies": self.documents}
        (out / "shop_b" / "history-1.json").write_text(json.dumps(history, ensure_ascii=False), encoding="utf-8")
        (out / "shop_b" / "events.ndjson").write_text("")
        with (out / "registry.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("inn", "status"), *((c.inn, "ACTIVE") for c in self.published)])
        (out / "manifest.json").write_text(json.dumps({"since": f"{SINCE:%Y-%m-%d}", "measured": MEASURED}))
