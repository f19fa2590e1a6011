"""What the sales director looks at: what can be sold to, what became of what the shops have, money, whom to call."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from publish.page.content import Cell, Chart, Column, Row, Section, Table
from publish.page.selects import Selects, Values
from publish.page.texts import Texts
from publish.parts import decoded
from publish.report.cells import Cells

_KINDS = ("company", "contact", "order")


@dataclass(frozen=True, slots=True)
class Director:
    selects: Selects
    cells: Cells
    sources: Sequence[str]  # the shops, in the order of the alphabet

    @property
    def texts(self) -> Texts:
        return self.selects.texts

    def sections(self) -> list[Section]:
        return [self.money(), self.buyers(), self.funnel(), self.shared(), self.runs()]

    def money(self) -> Section:
        rows = self.selects.rows("select * from marts.report_months order by month, source")
        by_month: dict[Any, dict[str, Values]] = {}
        for row in rows:
            by_month.setdefault(row["month"], {})[row["source"]] = row

        def cells(month: Any, of_shops: dict[str, Values]) -> list[Cell]:
            def total(name: str) -> Any:
                return sum(row[name] for row in of_shops.values())

            sold = [self.cells.number(of_shops[s]["order_total"] if s in of_shops else 0) for s in self.sources]
            return [
                Cell(f"{month:%m.%Y}" if self.texts.language == "ru" else f"{month:%Y-%m}", f"{month:%Y%m}"),
                *sold,
                self.cells.number(total("order_total")),
                self.cells.number(total("crm_total")),
                self.cells.number(total("order_count")),
                self.cells.number(total("cancelled_count")),
            ]

        columns = [
            *self.selects.columns(["month"]),
            *(Column(self.texts("report_sold_by", source=self.cells.source(source)), True) for source in self.sources),
            *self.selects.columns(["#sold", "#sold_in_crm", "#orders", "#cancelled"]),
        ]
        table = Table(
            name="months",
            title=self.texts("report_months"),
            columns=columns,
            rows=[Row(cells(month, of_shops)) for month, of_shops in by_month.items()],
            chart=Chart("bar", 0, range(1, 1 + len(self.sources)), is_stacked=True),
        )
        foreign = sum(row["other_currency_count"] for row in rows)
        note = self.texts("report_other_currency", number=self.texts.number(foreign)) if foreign else ""
        return Section("money", self.texts("report_section_money"), [table], note)

    def buyers(self) -> Section:
        """Those that a corrected INN brings in are worth a call; for the others nothing can be done."""
        tables = [self._buyers("buyers", "is_repairable"), self._buyers("lost", "not is_repairable", is_folded=True)]
        return Section("section-buyers", self.texts("report_section_buyers"), tables)

    def _buyers(self, name: str, condition: str, *, is_folded: bool = False) -> Table:
        return self.selects.table(
            name,
            self.texts(f"report_{name}"),
            f"""select * from marts.report_buyers_not_in_crm where {condition}
                order by order_total desc, order_count desc, company_key""",
            ["company", "person", "phones", "#sold", "reason", "#orders", "last_order", "inn", "verdict", "sources"],
            lambda row: [
                self.cells.typed(row["company_name"] or row["company_key"]),
                self.cells.typed(row["person_name"]),
                self.cells.reachable(row["phones"], row["emails"]),
                self.cells.number(row["order_total"]),
                self.cells.reason(row),
                self.cells.number(row["order_count"]),
                self.cells.day(row["last_order_on"]),
                Cell(row["inn"] or row["inn_raw"] or ""),
                Cell(self._verdict(row)),
                Cell("\n".join(row["record_keys"])),
            ],
            is_counted=True,
            is_folded=is_folded,
            note=self.texts(f"report_{name}_note"),
        )

    def _verdict(self, row: Values) -> str:
        if row["registry_status"] is None:
            return ""
        return f"{self.texts.known('report_registry', row['registry_status'])} {self.cells.day(row['verdict_at']).text}"

    def funnel(self) -> Section:
        rows = self.selects.rows("select * from marts.report_funnel order by place, reason, source")
        tables = [self._funnel_of(kind, [row for row in rows if row["entity"] == kind]) for kind in _KINDS]
        return Section("funnel", self.texts("report_section_funnel"), tables, self.texts("report_funnel_note"))

    def _funnel_of(self, kind: str, rows: Sequence[Values]) -> Table:
        """Shops side by side: all records, those that stay out by reason, those that go in, what these are."""
        by_step: dict[str, dict[str, Values]] = {}
        for row in rows:
            by_step.setdefault(row["reason"] or "", {})[row["source"]] = row
        went_in = by_step.pop("", {})

        def line(title: str, numbers: Sequence[int], examples: Sequence[str] = (), *, is_marked: bool = False) -> Row:
            shown = [self.cells.number(number) for number in numbers]
            return Row([Cell(title), *shown, self.cells.typed("; ".join(examples))], is_marked)

        def counted(of_shops: dict[str, Values], column: str) -> list[int]:
            return [of_shops[source][column] if source in of_shops else 0 for source in self.sources]

        lines = [
            line(
                self.texts("report_funnel_all"),
                [sum(row["record_count"] for row in rows if row["source"] == source) for source in self.sources],
            )
        ]
        for of_shops in by_step.values():
            first = next(iter(of_shops.values()))
            examples = [example for row in of_shops.values() for example in row["examples"]]
            title = self.texts("report_funnel_out", reason=self.cells.reason(first).text)
            lines.append(line(title, counted(of_shops, "record_count"), examples))
        for step, column in (("in", "record_count"), ("golden", "golden_count"), ("cards", "card_count")):
            title = self.texts(f"report_funnel_{step}_{kind}" if step == "golden" else f"report_funnel_{step}")
            lines.append(line(title, counted(went_in, column), is_marked=step == "in"))
        shops = [Column(self.cells.source(source), True) for source in self.sources]
        return Table(
            name=f"funnel-{kind}",
            title=self.texts(f"report_funnel_{kind}"),
            columns=[*self.selects.columns(["step"]), *shops, *self.selects.columns(["examples"])],
            rows=lines,
            chart=Chart("bar", 0, range(1, 1 + len(self.sources)), is_lying=True),
        )

    def shared(self) -> Section:
        kinds = self.selects.table(
            "known-to",
            self.texts("report_known_to"),
            "select * from marts.report_shared order by entity, len(sources), sources",
            ["entity", "sources", "#number", "#orders", "#sold"],
            lambda row: [
                self.cells.entity(row["entity"]),
                self.cells.sources(row["sources"]),
                self.cells.number(row["total_count"]),
                self.cells.number(row["order_count"]),
                self.cells.number(row["order_total"]),
            ],
        )
        customers = self.selects.table(
            "shared",
            self.texts("report_shared"),
            """select company_id, inn, title, order_total_of_all, map_from_entries(list((source, order_total))) as sold
               from analysis.shared_companies group by all order by order_total_of_all desc, company_id""",
            [
                "company",
                "inn",
                "#sold",
                *(
                    Column(self.texts("report_sold_by", source=self.cells.source(source)), True)
                    for source in self.sources
                ),
            ],
            lambda row: [
                Cell(row["title"]),
                Cell(row["inn"]),
                self.cells.number(row["order_total_of_all"]),
                *(self.cells.number(row["sold"].get(source, 0)) for source in self.sources),
            ],
            is_counted=True,
            is_folded=True,
        )
        return Section("section-shared", self.texts("report_section_shared"), [kinds, customers])

    def runs(self) -> Section:
        table = self.selects.table(
            "runs",
            self.texts("report_runs"),
            "select * from (from marts.report_runs order by started_at desc limit 30) order by started_at desc",
            ["started", "status", "#created", "#updated", "details", "#refused", "#requests", "#duration", "error"],
            lambda row: [
                self.cells.moment(row["started_at"]),
                Cell(self.texts.known("report_status", row["status"])),
                self.cells.number(row["created_count"]),
                self.cells.number(row["updated_count"]),
                Cell(self._sent(row)),
                self.cells.number(row["refused_count"]),
                self.cells.number(row["request_count"]),
                self.cells.seconds(row["seconds"]),
                self.cells.typed(row["error"]),
            ],
            is_marked=lambda row: row["status"] in ("failed", "gated"),
        )
        return Section("section-runs", self.texts("report_section_runs"), [table])

    def _sent(self, row: Values) -> str:
        told = {name: self.cells.counted(decoded(row[name])) for name in ("created", "updated")}
        return "\n".join(self.texts(f"report_{name}", counts=counts) for name, counts in told.items() if counts)
