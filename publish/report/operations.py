"""What the operator looks at: how long steps take and wait, how fresh the sources are, how far the CRM lags behind."""

from dataclasses import dataclass

from publish.page.content import Cell, Chart, Section
from publish.page.selects import Selects
from publish.page.texts import Texts
from publish.report.cells import Cells


@dataclass(frozen=True, slots=True)
class Operations:
    selects: Selects
    cells: Cells

    @property
    def texts(self) -> Texts:
        return self.selects.texts

    def section(self) -> Section:
        steps = self.selects.table(
            "steps",
            self.texts("report_steps"),
            "select * from marts.report_steps order by last_started_at desc, step",
            ["step", "last_run", "status", "#duration", "#median", "#longest", "#wait", "#runs", "#failed"],
            lambda row: [
                Cell(row["step"]),
                self.cells.moment(row["last_started_at"]),
                Cell(self.texts.known("report_status", row["last_status"])),
                self.cells.seconds(row["last_seconds"]),
                self.cells.seconds(row["median_seconds"]),
                self.cells.seconds(row["longest_seconds"]),
                self.cells.seconds(row["median_wait_seconds"]),
                self.cells.number(row["run_count"]),
                self.cells.number(row["failed_count"] + row["gated_count"]),
            ],
            is_marked=lambda row: row["last_status"] in ("failed", "gated"),
            chart=Chart("bar", 0, [3, 4], is_lying=True),
        )
        freshness = self.selects.table(
            "freshness",
            self.texts("report_freshness"),
            "select * from marts.report_freshness order by source",
            ["source", "read", "newest_change", "#to_land", "#to_send", "#slow_to_send", "#sent", "failing", "error"],
            lambda row: [
                Cell(self.cells.source(row["source"])),
                self.cells.moment(row["read_at"]),
                self.cells.moment(row["newest_change_at"]),
                self.cells.seconds(row["median_seconds_to_land"]),
                self.cells.seconds(row["median_seconds_to_send"]),
                self.cells.seconds(row["slow_seconds_to_send"]),
                self.cells.number(row["sent_count"]),
                self.cells.moment(row["failing_since"]),
                self.cells.typed(row["problem"]),
            ],
            is_marked=lambda row: row["failing_since"] is not None,
        )
        return Section("operations", self.texts("report_section_operations"), [freshness, steps])
