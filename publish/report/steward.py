"""What the steward of the data looks at: the dirtiest fields, and all that waits for a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from publish.page.content import Cell, Chart, Column, Row, Section, Table
from publish.page.selects import Selects
from publish.page.texts import Texts
from publish.report.cells import Cells

_WAITING = {
    "conflict": ["entity", "name", "field", "ours", "in_portal", "cards", "since"],
    "duplicate": ["entity", "name", "found_by", "cards", "since"],
    "refused": ["entity", "name", "error", "cards", "since", "next_try"],
    "deleted": ["entity", "name", "since"],
}
_DRAWN_FIELDS = 8  # lines that can be told apart


@dataclass(frozen=True, slots=True)
class Steward:
    selects: Selects
    cells: Cells
    sources: Sequence[str]

    @property
    def texts(self) -> Texts:
        return self.selects.texts

    def sections(self) -> list[Section]:
        waiting = [self._waiting(kind) for kind in _WAITING]
        return [
            Section("dirt", self.texts("report_section_dirt"), [self.fields(), self.days()]),
            Section("waiting", self.texts("report_section_waiting"), waiting, self.texts("report_waiting_note")),
        ]

    def fields(self) -> Table:
        return self.selects.table(
            "fields",
            self.texts("report_fields"),
            """select * from marts.report_dirty_fields where filled_count > 0
               order by dirty_share desc, dirty_count desc, source, field""",
            ["field_of_shop", "#dirty_share", "#earlier_share", "#dirty", "#filled", "#records", "example"],
            lambda row: [
                Cell(self._field(row["source"], row["field"])),
                self.cells.share(row["dirty_share"]),
                self.cells.share(row["earlier_share"]) if row["earlier_on"] else Cell(),
                self.cells.number(row["dirty_count"]),
                self.cells.number(row["filled_count"]),
                self.cells.number(row["record_count"]),
                self.cells.typed(row["example"]),
            ],
            note=self.texts("report_fields_note"),
            chart=Chart("bar", 0, [1], is_lying=True),
        )

    def days(self) -> Table:
        """A line per field, those that were dirtiest on any day; nothing to draw before the second day."""
        rows = self.selects.rows("select * from marts.report_dirty_days order by day")
        worst: dict[tuple[str, str], float] = {}
        shares: dict[Any, dict[tuple[str, str], float | None]] = {}
        for row in rows:
            field = (row["source"], row["field"])
            worst[field] = max(worst.get(field, 0.0), row["dirty_share"] or 0.0)
            shares.setdefault(row["day"], {})[field] = row["dirty_share"]
        drawn = sorted(worst, key=lambda field: (-worst[field], field))[:_DRAWN_FIELDS]
        return Table(
            name="days",
            title=self.texts("report_days_dirty"),
            columns=[
                *self.selects.columns(["day"]),
                *(Column(self._field(source, field), True) for source, field in drawn),
            ],
            rows=[
                Row([self.cells.day(day), *(self.cells.share(of_day.get(field)) for field in drawn)])
                for day, of_day in shares.items()
            ],
            note=self.texts("report_days_note", number=_DRAWN_FIELDS),
            is_folded=True,
        )

    def _field(self, source: str, field: str) -> str:
        return f"{self.texts.known('report_field', field)}, {self.cells.source(source)}"

    def _waiting(self, kind: str) -> Table:
        def cells(row: Any) -> list[Cell]:
            made = {
                "entity": self.cells.card(row["entity"]),
                "name": self.cells.typed(row["name"] or row["origin_id"]),
                "field": Cell(row["field"] or ""),
                "found_by": self.cells.typed(row["field"]),
                "ours": self.cells.typed(row["ours"]),
                "in_portal": self.cells.typed(row["in_portal"]),
                "error": self.cells.typed(row["error"]),
                "cards": self.cells.cards(row["card_ids"], row["urls"]),
                "since": self.cells.moment(row["since"]),
                "next_try": Cell(self.texts("report_never"))
                if row["is_discarded"]
                else self.cells.moment(row["next_at"]),
            }
            return [made[name] for name in _WAITING[kind]]

        return self.selects.table(
            kind,
            self.texts(f"report_waiting_{kind}"),
            f"""select * exclude (next_at), if(isfinite(next_at), next_at, null) as next_at,
                    isinf(next_at) as is_discarded
                from marts.report_waiting where kind = '{kind}' order by since desc, entity, origin_id, field""",
            _WAITING[kind],
            cells,
            is_counted=True,
        )
