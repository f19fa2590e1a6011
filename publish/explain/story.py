"""The story of one record as a page: what was entered, what became of it, and what was sent when.

Nothing is judged here: the views of schema analysis say it, and marts.report_waiting what waits for a person.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from publish.explain.keys import Subject
from publish.page.content import Cell, Column, Page, Row, Section, Table
from publish.page.selects import Values, rows_of
from publish.page.texts import Texts
from publish.report.cells import Cells

MOST_LISTED = 50  # records, people or orders of one company
_FINDING = {"company": "find_company", "contact": "find_contact", "order": "find_order"}
_CARD = {"company": "company", "contact": "contact", "order": "deal"}
_NAME = {"company": "company_name_raw", "contact": "contact_name_raw", "order": "order_number_raw"}


@dataclass(frozen=True, slots=True)
class Story:
    connection: duckdb.DuckDBPyConnection
    texts: Texts
    subject: Subject

    @property
    def cells(self) -> Cells:
        return Cells(self.texts)

    def brief(self) -> tuple[str, str]:
        """What it is, and whether it is in the CRM."""
        records = self._records()
        return self._title(records), self._verdict(records, self._card(records))

    def page(self) -> Page:
        """All of it. A step that has nothing to say of this record is left out."""
        records = self._records()
        card = self._card(records)
        inns = dict.fromkeys(row["inn"] for row in records if row.get("inn"))
        registry = [
            row for inn in inns for row in self._rows("from intermediate.int_companies__verdicts where inn = ?", inn)
        ]
        sections = [
            self._section("entered", [self._entered(records), self._cleaned()]),
            self._section("verdict", [self._registry(registry)]),
            self._section("merged", [self._edges()]),
            self._section("golden", [self._values()]),
            self._section("related", self._related(records)),
            self._section("portal", [self._held(), self._sent(), self._waiting()]),
        ]
        is_in_crm = card is not None and any(row["reason"] is None for row in records)
        return Page(
            title=self._title(records),
            verdict=self._verdict(records, card),
            is_good=is_in_crm,
            sign="" if is_in_crm else "✗",
            facts=self._facts(card, registry),
            sections=[section for section in sections if section.tables],
        )

    # The verdict -----------------------------------------------------------------------------------------------------

    def _records(self) -> list[dict[str, Any]]:
        sql = f"from analysis.{_FINDING[self.subject.entity]} where record_key = ?"
        return [row for key in self.subject.record_keys[:MOST_LISTED] for row in self._rows(sql, key)]

    def _title(self, records: Sequence[Values]) -> str:
        titles = [row.get("title") or row.get("contact_name") or row[_NAME[self.subject.entity]] for row in records]
        what = next((str(title) for title in titles if title), self.id)
        return self.texts(f"explain_{self.subject.entity}", what=what)

    def _card(self, records: Sequence[Values]) -> Values | None:
        origin_id = self.subject.golden_id or (records[0]["record_key"] if records else "")
        cards = self._rows(
            "from analysis.cards where entity = ? and origin_id = ?", _CARD[self.subject.entity], origin_id
        )
        return cards[0] if cards else None

    def _verdict(self, records: Sequence[Values], card: Values | None) -> str:
        """Whether it is in the CRM, and if not, why: the reason of the record that comes nearest."""
        is_wanted = any(row["reason"] is None for row in records)
        if card and card["is_deleted"]:
            return self.texts("explain_deleted", card=card["bitrix_id"])
        if is_wanted and card:
            return self.texts("explain_in_crm", card=card["bitrix_id"], day=self.cells.day(card["known_since"]).text)
        if is_wanted:
            refused = self._rows(
                "select error from marts.report_waiting where kind = 'refused' and card_entity = ? and origin_id = ?",
                _CARD[self.subject.entity],
                self.id,
            )
            return (
                self.texts("explain_refused", error=refused[0]["error"]) if refused else self.texts("explain_to_come")
            )
        reasons = "; ".join(dict.fromkeys(self._reason(row) for row in records)) or self.texts("explain_gone")
        if card:
            return self.texts("explain_left", reason=reasons, card=card["bitrix_id"])
        return self.texts("explain_not_in_crm", reason=reasons)

    def _reason(self, row: Values) -> str:
        """The reason in words, with that of the company where it is the company's."""
        told = self.cells.reason(row).text
        if row.get("company_reason"):
            of_company = self._rows(
                "from intermediate.rejection_reasons where entity = 'company' and reason = ?", row["company_reason"]
            )
            told = f"{told} ({', '.join(str(one[f'text_{self.texts.language}']) for one in of_company)})"
        return told

    @property
    def id(self) -> str:
        """Our id, or where it never had one, its first record."""
        return self.subject.golden_id or self.subject.record_keys[0]

    def _facts(self, card: Values | None, registry: Sequence[Values]) -> list[tuple[str, str]]:
        facts = [(self.texts("explain_id"), self.id)]
        facts += [(self.texts("explain_asked"), self.cells.moment(row["asked_at"]).text) for row in registry[:1]]
        if card:
            facts += [
                (self.texts("explain_card"), card["url"] or str(card["bitrix_id"])),
                (self.texts("explain_made"), self.cells.moment(card["known_since"]).text),
                (self.texts("explain_synced"), self.cells.moment(card["synced_at"]).text),
            ]
        return facts

    # The steps -------------------------------------------------------------------------------------------------------

    def _entered(self, records: Sequence[Values]) -> Table:
        number = {"company": "inn_raw", "contact": "phones_raw", "order": "amount"}[self.subject.entity]
        return self._table(
            "entered",
            ["record", "name", number, "outcome", "changed"],
            records,
            lambda row: [
                Cell(row["record_key"]),
                self.cells.typed(row[_NAME[self.subject.entity]]),
                self.cells.typed(row[number]),
                Cell(self._reason(row) if row["reason"] else self.texts("explain_accepted")),
                self.cells.moment(row["changed_at"]),
            ],
            is_marked=lambda row: row["reason"] is not None,
        )

    def _cleaned(self) -> Table:
        rows = [
            row
            for key in self.subject.record_keys[:MOST_LISTED]
            for row in self._rows(
                "from analysis.cleaning_steps where entity = ? and record_key = ?", self.subject.entity, key
            )
        ]
        return self._table(
            "cleaned",
            ["record", "field", "entered", "cleaned", "kept"],
            rows,
            lambda row: [
                Cell(row["record_key"]),
                Cell(self.texts.known("report_field", row["field"])),
                self.cells.typed(row["entered"]),
                self.cells.value(row["field"], row["cleaned"]),
                Cell(self.texts("explain_dropped"))
                if row["kept"] is None
                else self.cells.value(row["field"], row["kept"]),
            ],
            is_marked=lambda row: row["kept"] is None,
        )

    def _registry(self, rows: Sequence[Values]) -> Table:
        return self._table(
            "verdicts",
            ["inn", "status", "registered_name", "kpp", "asked"],
            rows,
            lambda row: [
                Cell(row["inn"]),
                Cell(self.texts.known("report_registry", row["registry_status"] or "unknown")),
                self.cells.typed(row["short_name"] or row["full_name"]),
                Cell(row["kpp"] or ""),
                self.cells.moment(row["asked_at"]),
            ],
        )

    def _edges(self) -> Table:
        return self._table(
            "edges",
            ["record", "other_record", "rule", "evidence", "within"],
            self._rows("from analysis.why_merged where golden_id = ? order by all", self.id),
            lambda row: [
                Cell(f"{row['left_key']}\n{row['left_name'] or ''}"),
                Cell(f"{row['right_key']}\n{row['right_name'] or ''}"),
                Cell(row[f"rule_{self.texts.language}"] or row["rule"]),
                self.cells.typed(row["evidence"]),
                Cell(row["within"] or ""),
            ],
        )

    def _values(self) -> Table:
        kind = self.subject.entity
        return self._table(
            "values",
            ["field", "value", "won_from"],
            self._rows("from analysis.field_origins where entity = ? and golden_id = ?", kind, self.id),
            lambda row: [
                Cell(self.texts.known("report_field", row["field"])),
                self.cells.typed(row["value"]),
                Cell(self.texts.known("explain_won_from", row["won_from"] or "all")),
            ],
        )

    def _related(self, records: Sequence[Values]) -> list[Table]:
        """The people and the orders of a company; the company of a person or an order."""
        if self.subject.entity != "company":
            companies = dict.fromkeys(row["company_key"] for row in records if row["company_key"])
            listed = [
                row for key in companies for row in self._rows("from analysis.find_company where record_key = ?", key)
            ]
            return [self._others("companies", listed, "company_name_raw")]
        keys = self.subject.record_keys[:MOST_LISTED]
        people = [row for key in keys for row in self._rows(_PEOPLE_OF, key)]
        orders = [
            row
            for key in keys
            for row in self._rows("from analysis.find_order where company_key = ? order by record_key limit 50", key)
        ]
        return [
            self._others("people", people, "contact_name_raw"),
            self._others("orders", orders, "order_number_raw"),
        ]

    def _others(self, name: str, rows: Sequence[Values], of: str) -> Table:
        return self._table(
            name,
            ["record", "name", "outcome", "card"],
            rows,
            lambda row: [
                Cell(row["record_key"]),
                self.cells.typed(row[of]),
                Cell(self._reason(row) if row["reason"] else self.texts("explain_accepted")),
                self.cells.cards([row["bitrix_id"]], [row["url"]]) if row["url"] else Cell(),
            ],
            is_marked=lambda row: row["reason"] is not None,
        )

    def _held(self) -> Table:
        return self._table(
            "held",
            ["portal", "entity", "card", "adopted", "made", "synced"],
            self._rows(
                f"select * from sync.ledger where {_OF_RECORD} order by portal, entity, origin_id limit 50",
                self.id, f"{self.id}/",
            ),
            lambda row: [
                Cell(row["portal"]),
                self.cells.card(row["entity"]),
                Cell(str(row["bitrix_id"] or "")),
                Cell(self.texts("explain_adopted" if row["is_adopted"] else "explain_ours")),
                self.cells.moment(row["known_since"]),
                self.cells.moment(row["synced_at"]),
            ],
        )  # fmt: skip

    def _sent(self) -> Table:
        return self._table(
            "sent",
            ["sent_at", "entity", "field", "before", "after", "run"],
            self._rows(
                f"select * from analysis.changes_sent where {_OF_RECORD} order by sent_at, entity, field",
                self.id, f"{self.id}/",
            ),
            lambda row: [
                self.cells.moment(row["sent_at"]),
                self.cells.card(row["entity"]),
                Cell(row["field"] or self.texts.known("explain_action", row["action"])),
                self.cells.value(row["field"], row["value_before"]),
                self.cells.value(row["field"], row["value"]),
                Cell(row["run_id"]),
            ],
        )  # fmt: skip

    def _waiting(self) -> Table:
        return self._table(
            "waiting",
            ["kind", "field", "ours", "in_portal", "since"],
            self._rows(
                f"select * from marts.report_waiting where {_OF_RECORD} order by since, kind, field",
                self.id, f"{self.id}/",
            ),
            lambda row: [
                Cell(self.texts(f"report_waiting_{row['kind']}")),
                Cell(row["field"] or ""),
                self.cells.typed(row["ours"]),
                self.cells.typed(row["in_portal"] or row["error"] or ", ".join(map(str, row["card_ids"]))),
                self.cells.moment(row["since"]),
            ],
            is_marked=lambda row: True,
        )  # fmt: skip

    # Making tables ---------------------------------------------------------------------------------------------------

    def _rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        return rows_of(self.connection, sql, parameters)

    def _section(self, name: str, tables: Iterable[Table]) -> Section:
        filled = [table for table in tables if table.rows]
        return Section(f"section-{name}", self.texts(f"explain_section_{name}"), filled)

    def _table(
        self,
        name: str,
        columns: Sequence[str],
        rows: Sequence[Values],
        cells: Callable[[Values], Iterable[Cell]],
        *,
        is_marked: Callable[[Values], bool] = lambda row: False,
    ) -> Table:
        return Table(
            name=name,
            title=self.texts(f"explain_{name}"),
            columns=[Column(self.texts(f"explain_column_{column}")) for column in columns],
            rows=[Row(list(cells(row)), is_marked(row)) for row in rows],
        )


# analysis.find_contact looks through all people to know the ids of those that left, which takes too long here.
_PEOPLE_OF = """
    select record_key, contact_name_raw, outcomes.reason, company_reason, text_ru as reason_ru, text_en as reason_en,
        bitrix_id, url
    from intermediate.int_contacts__unioned
    inner join intermediate.int_contacts__outcomes as outcomes using (record_key)
    left join intermediate.rejection_reasons as reasons on entity = 'contact' and reasons.reason = outcomes.reason
    left join analysis.cards on cards.entity = 'contact' and origin_id = contact_id
    where company_key = ? order by record_key limit 50"""
_OF_RECORD = "(origin_id = ? or starts_with(origin_id, ?))"  # a link's key begins with that of its contact
