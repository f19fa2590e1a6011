"""Two shops as they change from day to day, drawn at random: what lands of them, row by row, as the ingesters land it.

Values come from small pools, so that records meet: namesakes, shared phones, INNs typed twice, misspelt names.
"""

import json
from datetime import datetime, timedelta
from random import Random
from typing import Any

import duckdb

from tests.sample_data.identifiers import Identifiers

SURNAMES = ["Иванов", "Иваноа", "Петров", "Сидоров", "Сидорав", "Давид", "Август", "Кузнецов", "Абрамович", "Ким"]
GIVEN = ["Иван", "Роман", "Мария", "Любовь", "Давид", "Анна", "Август", "Олег"]
PATRONYMICS = ["Иванович", "Петрович", "Ильич", "Ивановна", "Петровна", "Олегович"]
TITLES = [
    'ООО "Ромашка"', "Василёк, ООО", "ИП Петров Иван Ильич", "Р РѕРјР°С€РєР°", "АО Ландыш", "Общество с ограниченной "
    "ответственностью «Пион»", "ГБУ школа №5", "Mak", "Pомашка", "ООО &quot;Лютик&quot;", None, "нет",
]  # fmt: skip
POSTS = ["директор", "бухгалтер", "менеджeр", None, "Р±СѓС…РіР°Р»С‚РµСЂ"]
STATUSES = ["new", "done", "paid", "cancelled", "odd", "NEW "]
VERDICTS = ["ACTIVE", "ACTIVE", "ACTIVE", "LIQUIDATED", "BANKRUPT", "REORGANIZING", "UNKNOWN"]
FIRST_DAY = datetime(2026, 1, 5, 10)


class Shops:
    """What the shops hold, and what of it is yet to land."""

    def __init__(self, seed: int, companies: int) -> None:
        self.rng = Random(seed)
        self._makes = Identifiers(Random(seed + 1))
        self._inns = [self._makes.inn(legal=n % 3 > 0) for n in range(companies * 3 // 4 + 4)]
        self._phones = [self._makes.mobile() for _ in range(companies * 2)]
        self._phones += [self._makes.landline() for _ in range(companies // 4 + 1)] + [self._makes.toll_free()]
        self._clients: dict[int, dict[str, Any]] = {}
        self._contacts: dict[int, dict[str, Any]] = {}
        self._orders: dict[int, dict[str, Any]] = {}
        self._documents: dict[str, dict[str, Any]] = {}
        self._pending: dict[str, list[tuple[Any, ...]]] = {}
        self._now, self._number = FIRST_DAY, 0
        for _ in range(companies):
            self._new_company()
        for inn in self._inns:
            if self.rng.random() < 0.9:
                self._verdict(inn)

    def change(self) -> str:
        """One change of any kind, the names of which `CHANGES` lists; its name."""
        name = self.rng.choice(list(CHANGES))
        CHANGES[name](self)
        return name

    def land_a_new_company(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Of shop A."""
        while "shop_a__clients" not in self._pending:
            self._new_company()
        self.land(connection)

    def land(self, *warehouses: duckdb.DuckDBPyConnection) -> None:
        """Append what has changed to the raw tables."""
        for connection in warehouses:
            for table, rows in self._pending.items():
                connection.execute(f"create table if not exists raw.{table} as from raw.envelope")
                connection.executemany(f"insert into raw.{table} values (?, ?, ?, ?, 'r', ?)", rows)
        self._pending = {}

    # What happens in the shops

    def _new_company(self) -> None:
        if self.rng.random() < 0.5:
            key = len(self._clients) + 1
            self._clients[key] = {"id": key, "name": None, "inn": None, "is_deleted": 0, "created_at": self._moment()}
            self._client(key, name=self.rng.choice(TITLES), inn=self._inn(), kpp=self.rng.choice([None, "770701001"]))
            for _ in range(self.rng.choice([0, 1, 1, 2, 3])):
                self._new_contact(key)
        else:
            uid = f"b-{len(self._documents) + 1}"
            persons = [self._person() for _ in range(self.rng.choice([0, 1, 1, 2, 3]))]
            self._documents[uid] = {"uid": uid, "persons": [], "orders": [], "created_at": self._iso()}
            self._document(uid, title=self.rng.choice(TITLES), inn=self._inn(), persons=persons)

    def _new_contact(self, client: int | None = None) -> None:
        key = len(self._contacts) + 1
        if not self._clients:
            return
        contact = {"id": key, "client_id": client or self.rng.choice(list(self._clients)), "is_deleted": 0}
        self._contacts[key] = contact | {"created_at": self._moment()}
        self._contact(
            key, full_name=self._name(), position=self.rng.choice(POSTS), phone=self._phone(), email=self._email()
        )

    def _new_order(self) -> None:
        if self._clients and self.rng.random() < 0.5:
            key = len(self._orders) + 1
            self._orders[key] = {"id": key, "number": f"A-{key}", "created_at": self._moment()}
            client = self.rng.choice([*self._clients, 9999])
            contact = self.rng.choice([*self._contacts, None])
            self._order(key, client_id=client, contact_id=contact, status="new", total="10.50")
        elif self._documents:
            uid = self.rng.choice(list(self._documents))
            self._number += 1
            order = {"uid": f"o-{self._number}", "number": f"B-{self._number}", "status": "new", "total": "7"}
            person = self.rng.choice([*(p["uid"] for p in self._documents[uid]["persons"]), None])
            order |= {"person_uid": person, "currency": "RUB", "created_at": self._iso()}
            self._document(uid, orders=[*self._documents[uid]["orders"], order])

    def _changed_order(self) -> None:
        if self._orders:
            key = self.rng.choice(list(self._orders))
            self._order(key, status=self.rng.choice(STATUSES), total=self.rng.choice(["1", "x", "1 234,50"]))

    def _changed_client(self) -> None:
        if self._clients:
            changes = {"name": self.rng.choice(TITLES), "inn": self._inn(), "kpp": "773601001"}
            name = self.rng.choice(list(changes))
            self._client(self.rng.choice(list(self._clients)), **{name: changes[name]})

    def _changed_contact(self) -> None:
        if self._contacts:
            changes = {
                "full_name": self._name(),
                "phone": self._phone(),
                "email": self._email(),
                "client_id": self.rng.choice(list(self._clients)),
                "position": self.rng.choice(POSTS),
            }
            name = self.rng.choice(list(changes))
            self._contact(self.rng.choice(list(self._contacts)), **{name: changes[name]})

    def _deleted_client(self) -> None:
        if self._clients:
            key = self.rng.choice(list(self._clients))
            self._client(key, is_deleted=1 - self._clients[key]["is_deleted"])

    def _deleted_contact(self) -> None:
        if self._contacts:
            key = self.rng.choice(list(self._contacts))
            self._contact(key, is_deleted=1 - self._contacts[key]["is_deleted"])

    def _gone_row(self) -> None:
        """A row that the server no longer has lands as one without a payload; one that is back, with it again."""
        table, rows = self.rng.choice(
            [("clients", self._clients), ("client_contacts", self._contacts), ("orders", self._orders)]
        )
        if rows:
            key = self.rng.choice(list(rows))
            payload = None if self.rng.random() < 0.7 else rows[key]
            self._append(f"shop_a__{table}", payload, str(key), f"{table}/id={key}")

    def _changed_document(self) -> None:
        if not self._documents:
            return
        uid = self.rng.choice(list(self._documents))
        persons = [dict(person) for person in self._documents[uid]["persons"]]
        what = self.rng.choice(["title", "inn", "add", "remove", "move", "person", "person", "person"])
        if what == "title":
            self._document(uid, title=self.rng.choice(TITLES))
        elif what == "inn":
            self._document(uid, inn=self._inn())
        elif what == "add":
            self._document(uid, persons=[*persons, self._person()])
        elif what == "remove" and persons:
            persons.remove(self.rng.choice(persons))
            self._document(uid, persons=persons)
        elif what == "move" and persons:
            other = self.rng.choice(list(self._documents))
            self._document(other, persons=[*self._documents[other]["persons"], self.rng.choice(persons)])
        elif persons:
            changed = {"fio": self._name(), "phones": self._list(self._phone()), "emails": self._list(self._email())}
            field = self.rng.choice(list(changed))
            self.rng.choice(persons)[field] = changed[field]
            self._document(uid, persons=persons)

    def _deleted_document(self) -> None:
        if not self._documents:
            return
        uid = self.rng.choice(list(self._documents))
        how = self.rng.choice(["tombstone", "deleted", "back", "old"])
        self._now += timedelta(minutes=1)
        self._number += 1
        position = f"t/0/{self._number}"
        if how == "tombstone":
            self._append("shop_b__events", None, uid, position)
        elif how == "deleted":
            event = {"event": "company.deleted", "occurred_at": self._iso(), "company": {"uid": uid}}
            self._append("shop_b__events", event, uid, position)
        elif how == "back":
            self._document(uid)
        else:  # an older version that comes late
            stale = {"event": "company.upserted", "occurred_at": "2026-01-04T10:00:00+03:00"}
            document = {"uid": uid, "title": "Давно", "persons": [self._person()], "orders": []}
            self._append("shop_b__events", stale | {"company": document}, uid, position)

    def _new_verdict(self) -> None:
        self._verdict(self.rng.choice(self._inns))

    # How it lands

    def _client(self, key: int, **changes: Any) -> None:
        self._clients[key] |= changes | {"updated_at": self._moment()}
        self._append("shop_a__clients", self._clients[key], str(key), f"clients/id={key}")

    def _contact(self, key: int, **changes: Any) -> None:
        self._contacts[key] |= changes | {"updated_at": self._moment()}
        self._append("shop_a__client_contacts", self._contacts[key], str(key), f"client_contacts/id={key}")

    def _order(self, key: int, **changes: Any) -> None:
        self._orders[key] |= changes | {"updated_at": self._moment()}
        self._append("shop_a__orders", self._orders[key], str(key), f"orders/id={key}")

    def _document(self, uid: str, **changes: Any) -> None:
        self._now += timedelta(minutes=1)
        self._documents[uid] |= changes
        self._number += 1
        if self.rng.random() < 0.3:
            document = self._documents[uid] | {"changed_at": self._iso()}
            if self.rng.random() < 0.05:
                document = {name: value for name, value in document.items() if name != "uid"}
            self._append("shop_b__files", {"exported_at": self._iso()}, None, f"f{self._number}.json")
            self._append("shop_b__companies", document, None, f"f{self._number}.json@1")
        else:
            event = {"event": "company.upserted", "occurred_at": self._iso(), "company": self._documents[uid]}
            self._append("shop_b__events", event, uid, f"t/0/{self._number}")

    def _verdict(self, inn: str) -> None:
        self._now += timedelta(minutes=1)
        verdict = {"status": self.rng.choice(VERDICTS), "full_name": self.rng.choice([None, "ООО РОМАШКА"])}
        answer: dict[str, Any] = {"found": self.rng.random() < 0.95, "verdict": verdict}
        self._append("registry__companies", answer, inn, f"verdicts/{inn}")

    def _append(self, table: str, payload: Any, key: str | None, position: str) -> None:
        text = None if payload is None else json.dumps(payload, ensure_ascii=False)
        self._pending.setdefault(table, []).append((text, key, self._now, position, self._now))

    # What people type

    def _moment(self) -> str:
        self._now += timedelta(minutes=1)
        return f"{self._now:%Y-%m-%d %H:%M:%S}"

    def _iso(self) -> str:
        return f"{self._now:%Y-%m-%dT%H:%M:%S}+03:00"

    def _inn(self) -> str | None:
        inn = self.rng.choice(self._inns)
        return self.rng.choice([inn] * 12 + [None, "123", f"ИНН {inn}", inn.lstrip("0")])

    def _name(self) -> str | None:
        last, first, second = map(self.rng.choice, (SURNAMES, GIVEN, PATRONYMICS))
        full = f"{last} {first} {second}"
        forms = [full] * 6 + [
            f"{last} {first}",
            f"{first} {last}",
            f"{first} {second}",
            f"{last} {first[0]}. {second[0]}.",
        ]
        return self.rng.choice([*forms, f"{first} {second} {last}", "не указан", "менеджер", None, "Ivan"])

    def _phone(self) -> str | None:
        return self.rng.choice([self.rng.choice(self._phones), self.rng.choice(self._phones), None, "12"])

    def _email(self) -> str | None:
        mailbox = self.rng.choice(["info", *(f"person{n}" for n in range(len(self._phones)))])
        return self.rng.choice([None, f"{mailbox}@example.ru"])

    def _person(self) -> dict[str, Any]:
        self._number += 1
        person = {"uid": f"p-{self._number}", "fio": self._name(), "post": self.rng.choice(POSTS)}
        return person | {"phones": self._list(self._phone()), "emails": self._list(self._email())}

    def _list(self, value: str | None) -> list[str]:
        return [value] if value else []


CHANGES = {
    "a new company": Shops._new_company,
    "a new contact": Shops._new_contact,
    "a new order": Shops._new_order,
    "an order": Shops._changed_order,
    "a client": Shops._changed_client,
    "a contact": Shops._changed_contact,
    "another contact": Shops._changed_contact,
    "a client that is deleted, or back": Shops._deleted_client,
    "a contact that is deleted, or back": Shops._deleted_contact,
    "a row that is gone, or back": Shops._gone_row,
    "a document": Shops._changed_document,
    "another document": Shops._changed_document,
    "a document that is deleted, or back, or late": Shops._deleted_document,
    "a verdict": Shops._new_verdict,
}
