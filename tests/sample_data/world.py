"""Two shops' client bases, written side by side with what is true of every record.

The world is made of groups. A group is one true company with all its source records (both shops, doubles, branches),
the people who work there and the orders it placed. Groups are made one after another and written at once, so memory
does not grow with the scale; what has to reach over groups (people who change jobs, traps) waits in short queues.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

from .companies import Companies, Company
from .identifiers import Identifiers
from .people import Human, People
from .shop_b import HISTORY, HistoryFile, Topic, iso, utc_of
from .tables import REGISTRY, SHOP_A, TRUTH, ParquetTable
from .vocabulary import Weighted, vocabulary

CLIENTS, COMPANIES = 53_000, 125_000  # at scale 1
CONTACTS_A, PERSONS_B, ORDERS_A, ORDERS_B = 75_000, 600_000, 400_000, 300_000
FATES = {  # share of the groups; the rest are published
    "LIQUIDATED": 0.025,
    "LIQUIDATING": 0.007,
    "BANKRUPT": 0.008,
    "REORGANIZING": 0.006,
    "unknown": 0.010,
    "awaiting": 0.003,
    "outside_period": 0.030,
    "deleted": 0.020,
    "missing_inn": 0.015,
    "invalid_inn": 0.020,
}


@dataclass
class Record:
    """One source company; `persons` are (source id, human) of its live contacts."""

    source: str
    source_id: str
    group: "Group"
    fault: str | None
    changed_at: datetime  # Moscow local time, like every time before it is written as truth
    row: dict = field(default_factory=dict)  # of shop A's table, or shop B's object
    persons: list[tuple[str, Human]] = field(default_factory=list)
    route: str = "file"
    needs_order: bool = False  # its own row is older than the period, so a fresh order has to keep it in
    has_unparsed: bool = False


@dataclass
class Group:
    company: Company
    fate: str
    records: list[Record]
    is_in_period: bool
    switchboard: str | None
    info_mail: str | None
    humans: list[Human] = field(default_factory=list)
    likenesses: set = field(default_factory=set)
    has_order: bool = False  # one in the period that was not cancelled

    @property
    def is_published(self) -> bool:
        return self.fate in ("published", "REORGANIZING")


class World:
    """Writes sources and truths into `out`; the package's documentation tells of the files."""

    def __init__(self, out: Path, *, scale: float, seed: int, today: date) -> None:
        self.out, self.scale, self.today = out, scale, today
        self.rng = rng = Random(seed)
        identifiers = Identifiers(rng)
        self.companies = Companies(rng, vocabulary(), identifiers, today)
        self.people = People(rng, vocabulary(), identifiers)
        self.since = datetime(today.year - 1, 1, 1)
        self.exported_at = datetime(today.year, today.month, today.day, 3) - timedelta(days=1)
        self.morning = datetime(today.year, today.month, today.day, 9)
        self._fresh = self.since + timedelta(days=2), self.exported_at - timedelta(days=3)
        self._stale = datetime(2018, 1, 1), self.since - timedelta(days=2)
        self._open(out)
        self.history = {name: HistoryFile(out / "shop_b" / name, self.exported_at) for name in HISTORY}
        self.pick_file = Weighted(rng, HISTORY)
        self._route = Weighted(rng, {"file": 84, "kafka": 11, "newer": 3, "stale": 1, "two_files": 1})
        self._ids = dict.fromkeys(("client", "client_contact", "order_a", "company", "person", "order_b"), 0)
        self.left = {"A": round(CLIENTS * scale), "B": round(COMPANIES * scale)}
        self.quota = {
            key: round(total * scale) for key, total in (("contacts_A", CONTACTS_A), ("contacts_B", PERSONS_B))
        } | {"orders_A": round(ORDERS_A * scale), "orders_B": round(ORDERS_B * scale)}

    def _open(self, folder: Path) -> None:
        self.shop_a = {name: ParquetTable(folder / "shop_a" / f"{name}.parquet", s) for name, s in SHOP_A.items()}
        self.truth = {name: ParquetTable(folder / "truth" / f"{name}.parquet", s) for name, s in TRUTH.items()}
        self.registry = ParquetTable(folder / "registry.parquet", REGISTRY)
        self.topic = Topic(self.rng)

    def begin_second_day(self) -> None:
        """Everything from here on happens on the next day and goes into `day_two`; the first day has been closed."""
        self.history = {}
        opening = self.morning + timedelta(days=1)
        self.exported_at, self.morning = opening + timedelta(hours=11), opening + timedelta(hours=12)
        self._fresh = self._stale = opening, self.exported_at - timedelta(hours=2)
        self._open(self.out / "day_two")

    def next_id(self, kind: str) -> int:
        self._ids[kind] += 1
        return self._ids[kind]

    # ----- times

    def moment(self, first: datetime, last: datetime) -> datetime:
        return first + timedelta(seconds=self.rng.randrange(int((last - first).total_seconds())))

    def in_period(self) -> datetime:
        return self.moment(*self._fresh)

    def before_period(self) -> datetime:
        return self.moment(*self._stale)

    # ----- groups

    def groups(self) -> list[tuple[int, int, str]]:
        """(records in shop A, records in shop B, fate) of every group, in random order, adding up to the scale."""
        a, b = self.left["A"], self.left["B"]
        shapes: list[tuple[int, int]] = []
        for shape, share in (
            ((1, 1), 0.16),
            ((2, 0), 0.03),
            ((3, 0), 0.003),
            ((0, 2), 0.06),
            ((2, 1), 0.01),
            ((1, 2), 0.01),
        ):
            shapes += [shape] * max(1, round(share * self.left["A"]))
        a -= sum(s[0] for s in shapes)
        b -= sum(s[1] for s in shapes)
        if a < 0 or b < 0:
            raise ValueError(f"scale {self.scale} is too small to hold every kind of record; take 0.002 or more")
        shapes += [(1, 0)] * a + [(0, 1)] * b
        self.rng.shuffle(shapes)
        fates = [fate for fate, share in FATES.items() for _ in range(max(1, round(share * len(shapes))))]
        fates += ["published"] * (len(shapes) - len(fates))
        self.rng.shuffle(fates)
        return [(a, b, fate) for (a, b), fate in zip(shapes, fates, strict=True)]

    def make_group(self, in_a: int, in_b: int, fate: str) -> Group:
        """A group with its records typed, not yet peopled; every record of it changed on another day."""
        rng = self.rng
        statuses = ("LIQUIDATED", "LIQUIDATING", "BANKRUPT", "REORGANIZING")
        company = self.companies.make(status=None if fate == "unknown" else fate if fate in statuses else "ACTIVE")
        has_switchboard, has_info = rng.random() < 0.35, rng.random() < 0.35
        switchboard = rng.choice((self.people.identifiers.landline,) * 4 + (self.people.identifiers.toll_free,))
        group = Group(
            company,
            fate if fate not in ("deleted", "missing_inn", "invalid_inn") else "published",
            [],
            fate != "outside_period",
            switchboard() if has_switchboard else None,
            f"info@{company.domain}" if has_info else None,
        )
        count, days = in_a + in_b, set()
        faulty = rng.randrange(count) if fate in ("deleted", "missing_inn", "invalid_inn") else None
        for i in range(count):
            source = "shop_a" if i < in_a else "shop_b"
            fault = fate if i == faulty else None
            route = self._route() if source == "shop_b" and group.is_in_period and not fault else "file"
            needs_order = source == "shop_a" and group.is_in_period and not fault and rng.random() < 0.04
            while True:
                changed = self.in_period() if group.is_in_period and not needs_order else self.before_period()
                if route in ("kafka", "newer"):
                    changed = self.moment(self.exported_at + timedelta(minutes=5), self.morning)
                    break
                if changed.date() not in days:
                    break
            days.add(changed.date())
            source_id = str(self.next_id("client")) if source == "shop_a" else f"b-{self.next_id('company'):07}"
            record = Record(source, source_id, group, fault, changed, route=route, needs_order=needs_order)
            self.type_company(record, is_branch=i > 0 and company.is_legal and rng.random() < 0.4)
            group.records.append(record)
        if fate == "unknown":
            self.registry.add((company.inn, "UNKNOWN") + (None,) * 12)
        elif fate != "awaiting":
            self.register(company)
        return group

    def register(self, company: Company) -> None:
        for verdict in company.verdicts:
            self.registry.add(tuple(verdict.values()))

    def type_company(self, record: Record, *, is_branch: bool) -> None:
        rng, maker, company = self.rng, self.companies, record.group.company
        narrow = record.source == "shop_a"
        kpp = maker.identifiers.kpp(company.inn[:2], branch=True) if is_branch else company.kpp
        typed_kpp, read_kpp = maker.typed_kpp(kpp)
        inn, is_number = maker.typed_inn(company, read_kpp)
        if record.fault == "missing_inn":
            inn, is_number = maker.missing_inn(), False
        elif record.fault == "invalid_inn":
            inn, is_number = maker.invalid_inn(company), False
        bank, read_bank = maker.typed_bank(company)
        address = maker.typed_address(company)
        created = min(record.changed_at, self.before_period()) if rng.random() < 0.7 else record.changed_at
        typed = {
            "name": maker.typed_name(company, narrow=narrow),
            "inn": inn,
            "kpp": typed_kpp,
            "ogrn": maker.typed_ogrn(company),
            "legal_address": address,
        }
        if record.source == "shop_a":
            record.row = {"id": int(record.source_id), **typed, **bank, "is_deleted": int(record.fault == "deleted")}
            record.row |= {"created_at": created, "updated_at": record.changed_at}
        else:
            record.row = {"uid": record.source_id, "title": typed.pop("name"), **typed}
            record.row["inn"] = int(inn) if is_number and inn else inn
            record.row["bank"] = {"name": bank["bank_name"], **{k: bank[k] for k in ("bik", "account", "corr_account")}}
            if bank["bik"] is None:
                record.row["bank"] = None
            record.row |= {
                "persons": [],
                "orders": [],
                "created_at": iso(created),
                "changed_at": iso(record.changed_at),
            }
            for key in ("kpp", "ogrn", "legal_address", "bank", "inn"):
                if record.row[key] is None and rng.random() < 0.5:
                    del record.row[key]
            if rng.random() < 0.03:
                record.row["loyalty"] = {"tier": rng.choice(("gold", "silver")), "points": rng.randrange(9999)}
        self.truth["companies"].add(
            (
                record.source,
                record.source_id,
                None if record.fault in ("missing_inn", "invalid_inn") else company.inn,
                record.fault,
                record.group.is_in_period,
                utc_of(record.changed_at),
                company.title,
                read_kpp,
                " ".join(address.split()) if address else None,
                *(read_bank.values() if read_bank else (None,) * 4),
            )
        )

    # ----- writing

    def write(self, record: Record) -> None:
        """Send a finished record to its shop; shop B's goes where its route says."""
        if record.source == "shop_a":
            self.shop_a["clients"].add(tuple(record.row.values()))
        else:
            self.deliver(record)

    def deliver(self, record: Record) -> None:
        rng, company, changed = self.rng, record.row, record.changed_at
        file = self.history[self.pick_file()]
        if record.route == "file":
            file.add(company)
            if record.fault == "deleted":
                at = self.moment(self.exported_at + timedelta(minutes=5), self.morning)
                self.topic.delete(company["uid"], at, tombstone=rng.random() < 0.5)
                if rng.random() < 0.3:  # sent before the deletion, delivered after it
                    self.topic.upsert(company, changed, sent=self.morning)
            return
        if record.route == "kafka":
            self.topic.upsert(company, changed)
            before = changed - timedelta(days=rng.randrange(1, 4))
            if rng.random() < 0.05:
                self.topic.delete(company["uid"], before, tombstone=rng.random() < 0.5)
            elif rng.random() < 0.2:
                late = changed + timedelta(minutes=rng.randrange(1, 200)) if rng.random() < 0.5 else before
                self.topic.upsert(self.staff.earlier_version(record, before), before, sent=late)
            return
        before = min(changed, self.exported_at) - timedelta(days=rng.randrange(20, 60))
        earlier = self.staff.earlier_version(record, before)
        if record.route == "newer":
            file.add(earlier)
            self.topic.upsert(company, changed)
        elif record.route == "stale":
            file.add(company)
            self.topic.upsert(earlier, before, sent=self.moment(self.exported_at - timedelta(days=3), self.morning))
        else:
            file.add(company)
            self.history["history-2.json.gz"].add(earlier)

    def close(self) -> None:
        for table in (*self.shop_a.values(), *self.truth.values(), self.registry, *self.history.values()):
            table.close()
