"""The portal's state as tests and the demo read it: past the REST API, without a trace in the request log."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from publish.sandbox import automation, catalog, filling, links, users, values
from publish.sandbox.fields import CARDS, RECORDS, Card, Record
from publish.sandbox.methods import METHODS
from publish.sandbox.store import Store

_REFUSALS = ("QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT")


class Portal:
    """What a portal holds, and what was asked of it.

    Made over a running portal's store, or over the file of one that has stopped (`Portal.of(path)`).
    """

    def __init__(self, store: Store):
        self._store = store

    @classmethod
    def of(cls, state: Path) -> "Portal":
        return cls(Store(state))

    def close(self) -> None:
        self._store.close()

    def _card(self, entity: str | int) -> Card:
        for card in CARDS.values():
            if entity in (card.type_id, card.name, card.table):
                return card
        raise KeyError(entity)

    def items(self, entity: str | int) -> list[dict[str, Any]]:
        """Cards of a type (`company`, `contact`, `deal`, or the number) in id order: names of `crm.item.*`, custom
        fields by their own names, `fm`, and `companyIds` or `contactIds`."""
        card = self._card(entity)
        with self._store.lock:
            rows = self._store.rows(f"select * from {card.table} order by ID")
            fm: dict[int, list[dict[str, Any]]] = {}
            for entry in self._store.rows("select * from multifield where card = ? order by id", card.name):
                fm.setdefault(entry["card_id"], []).append(
                    {
                        "id": entry["id"],
                        "typeId": entry["type_id"],
                        "valueType": entry["value_type"],
                        "value": entry["value"],
                    }
                )
            linked = self._linked(card)
        cards = []
        for row in rows:
            item = {field.camel: values.universal(field.type, row[field.name]) for field in card.columns if field.camel}
            item |= values.from_json(row["UF"]) | {"fm": fm.get(row["ID"], [])}
            item["companyIds" if card.name == "CONTACT" else "contactIds"] = linked.get(row["ID"], [])
            cards.append(item)
        return cards

    def _linked(self, card: Card) -> dict[int, list[int]]:
        side = links.SIDES[card.name]
        fixed = "".join(f" where {name} = '{value}'" for name, value in side.fixed.items())
        sql = (
            f"select {side.owner_column} as owner, {side.other_column} as other from {side.table}{fixed} "
            f"order by {side.owner_column}, {side.sort}, {side.other_column}"
        )
        by_card: dict[int, list[int]] = {}
        for row in self._store.rows(sql):
            by_card.setdefault(row["owner"], []).append(row["other"])
        return by_card

    def _records(self, record: Record) -> list[dict[str, Any]]:
        with self._store.lock:
            rows = self._store.rows(f"select * from {record.table} order by ID")
        names = [field.name for field in record.columns if not field.hidden]
        return [{name: row[name] for name in names} | values.from_json(row["UF"]) for row in rows]

    def requisites(self) -> list[dict[str, Any]]:
        """All requisites in id order, under their field names; ids are integers, what is not set is None."""
        return self._records(RECORDS["requisite"])

    def bank_details(self) -> list[dict[str, Any]]:
        return self._records(RECORDS["bank_detail"])

    def addresses(self) -> list[dict[str, Any]]:
        return self._records(RECORDS["address"])

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Rows of `activity`, `activity_binding`, `comment`, `product_row`, `requisite_link` as they are kept."""
        with self._store.lock:
            return [dict(row) for row in self._store.rows(f"select * from {table} order by 1, 2, 3")]

    def add_row(self, table: str, **columns: Any) -> int:
        """Add a row of one of these tables past the methods: what no webhook may make, such as an activity of an
        application or a comment of somebody else, on another day."""
        with self._store.lock, self._store.transaction():
            return self._store.insert(table, columns)

    def users(self) -> list[dict[str, Any]]:
        """All users in id order."""
        with self._store.lock:
            return [json.loads(row["body"]) for row in self._store.rows("select body from portal_user order by ID")]

    def documents(self, kind: str) -> dict[int, dict[str, Any]]:
        """The entries of a small dictionary by id: `status`, `category`, `currency`, `preset`, `userfield`,
        `workflow_template`."""
        with self._store.lock:
            return dict(self._store.documents(kind))

    def fill(self, *, every: int = 1, now: float | None = None, **counts: int) -> None:
        """Add cards and their parts by the thousand, past the methods: see `filling.fill`."""
        with self._store.lock, self._store.transaction():
            filling.fill(self._store, now or time.time(), counts, every)

    def set_user(self, user_id: int = 1, **fields: Any) -> None:
        """Add a user or change fields of one."""
        with self._store.lock, self._store.transaction():
            users.put(self._store, time.time(), user_id, **fields)

    def set_rights(self, user_id: int = 1, **rights: Any) -> None:
        """Give a user other rights: `is_admin`, `hidden_funnels`, `counts_hidden` (see `users.Rights`)."""
        self.set_user(user_id, rights=rights)

    def add_template(self, document_type: str, auto_execute: int, name: str = "Шаблон") -> int:
        """Add a workflow template to a type of card (`DEAL`) that starts by itself: 1 when one is added, 2 changed."""
        with self._store.lock, self._store.transaction():
            return automation.add_template(self._store, time.time(), document_type, auto_execute, name)

    def add_product(self, name: str, product_id: int | None = None, xml_id: str = "") -> int:
        """Add a product to the catalogue, or change the one of this id."""
        body = {"iblockId": catalog.CATALOG, "name": name, "xmlId": xml_id, "active": "Y"}
        with self._store.lock, self._store.transaction():
            return self._store.put_document(catalog.KIND, body, product_id)

    def automation_started(self) -> int:
        """How many workflows have started by themselves."""
        with self._store.lock:
            return automation.counted(self._store, automation.STARTED)

    def mail_sent(self) -> int:
        """How many e-mails have been sent, copies included."""
        with self._store.lock:
            return automation.counted(self._store, automation.MAIL)

    def links(self) -> set[tuple[int, int]]:
        """Pairs of (contact id, company id)."""
        with self._store.lock:
            rows = self._store.rows("select contact_id, company_id from contact_company")
        return {tuple(row) for row in rows}

    def counts(self) -> dict[str, int]:
        """Rows of every kind: `company`, `contact`, `deal`, `lead`, `quote`, `requisite`, `bank_detail`, `address`,
        `multifield`, `contact_company`."""
        tables = [card.table for card in CARDS.values()] + [record.table for record in RECORDS.values()]
        with self._store.lock:
            return {
                table: self._store.value(f"select count(*) from {table}")
                for table in (*tables, "multifield", "contact_company")
            }

    def request_log(self) -> list[dict[str, Any]]:
        """Every HTTP request in order: `at` (epoch seconds), `method`, `status` (0: closed before executing), `error`,
        `fault`, `commands` (calls by method, those inside a batch too) and `errors` (answers by code)."""
        with self._store.lock:
            rows = self._store.rows("select * from request_log order by id")
        return [
            dict(row) | {"commands": json.loads(row["commands"]), "errors": json.loads(row["errors"])} for row in rows
        ]

    def calls(self) -> Counter[str]:
        """Calls that were run, by method, inside batches and alone."""
        total: Counter[str] = Counter()
        for line in self.request_log():
            total.update(line["commands"])
        return total

    def copy_to(self, state: Path) -> None:
        """Back the portal up: what it holds now as a file, from which another one can be started."""
        self._store.copy_to(state)

    def writes(self) -> Counter[str]:
        """Of the calls, those of methods that write records; the portal's own settings, its custom fields, are none."""
        writing = {name for name, method in METHODS.items() if method.writes and ".userfield." not in name}
        return Counter({name: count for name, count in self.calls().items() if name.lower() in writing})

    def refused(self) -> list[dict[str, Any]]:
        """What either limit turned away: `at`, `error`, `count` (commands of a batch are refused one by one)."""
        refusals = []
        for line in self.request_log():
            codes = Counter({code: count for code, count in line["errors"].items() if code in _REFUSALS})
            if line["error"] in _REFUSALS and not codes:
                codes[line["error"]] = 1
            refusals += [{"at": line["at"], "error": code, "count": count} for code, count in codes.items()]
        return refusals

    def stats(self) -> dict[str, Any]:
        """Counts for `GET /_sandbox/stats`."""
        lines = self.request_log()
        return {
            "counts": self.counts(),
            "requests": len(lines),
            "calls": dict(self.calls()),
            "writes": dict(self.writes()),
            "automation": self.automation_started(),
            "mail": self.mail_sent(),
            "refused": dict(
                sum((Counter({refusal["error"]: refusal["count"]}) for refusal in self.refused()), Counter())
            ),
            "faults": dict(Counter(line["fault"] for line in lines if line["fault"])),
        }

    def clear_log(self) -> None:
        """Forget the requests so far, to count from here."""
        with self._store.lock, self._store.transaction():
            self._store.write("delete from request_log")
