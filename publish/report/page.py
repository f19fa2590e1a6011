"""The report as a page: how many one can sell to first, then what is to be looked at, then a part for each reader."""

from collections.abc import Mapping

import duckdb

from ingest.warehouse.errors import OperatorError
from publish.page.content import Page
from publish.page.selects import Selects, Values
from publish.page.texts import Texts
from publish.report.cells import Cells
from publish.report.director import Director
from publish.report.operations import Operations
from publish.report.steward import Steward

_WAITING = ("conflict", "duplicate", "refused", "deleted")


def page(connection: duckdb.DuckDBPyConnection, texts: Texts, source_names: Mapping[str, str]) -> Page:
    """The report of the warehouse as it is, with sources by their display names where they have some.

    Raises OperatorError when its models have not been built.
    """
    try:
        return _page(Selects(connection, texts, "report"), Cells(texts, source_names))
    except duckdb.CatalogException:
        raise OperatorError(
            "the views of the report are not in the warehouse: its models were built by an older version, or never",
            hint="`make incremental` builds them (.venv/bin/python dbt_project/passes.py the models alone)",
        ) from None


def _page(selects: Selects, cells: Cells) -> Page:
    texts = selects.texts
    totals = {row["entity"]: row for row in selects.rows("select * from marts.report_totals order by place")}
    sources = [row["source"] for row in selects.rows("select source from marts.report_freshness order by source")]
    failed = _failed(selects, cells)
    points = [*failed, *_points(selects, cells)]
    director, steward = Director(selects, cells, sources), Steward(selects, cells, sources)
    return Page(
        title=texts("report_title"),
        verdict=texts(
            "report_verdict",
            companies=texts.number(totals["company"]["total_count"]),
            people=texts.number(totals["contact"]["total_count"]),
        ),
        is_good=not failed,
        sign="!" if failed else "→",
        points=points,
        facts=[*(_fact(cells, row) for row in totals.values()), *_last_sent(selects, cells)],
        note=texts("report_note_fewer"),
        sections=[*director.sections(), *steward.sections(), Operations(selects, cells).section()],
    )


def _fact(cells: Cells, total: Values) -> tuple[str, str]:
    """How many there are now, and how many more or fewer than a month ago."""
    texts = cells.texts
    now = texts.number(total["total_count"])
    if total["earlier_count"] is not None:
        change = total["total_count"] - total["earlier_count"]
        signed = f"{'+' if change > 0 else '−' if change < 0 else '±'}{texts.number(abs(change))}"
        now = texts("report_since", now=now, change=signed, day=cells.day(total["earlier_at"]).text)
    return texts(f"report_fact_{total['entity']}"), texts(
        "report_with_cards", told=now, cards=texts.number(total["card_count"])
    )


def _last_sent(selects: Selects, cells: Cells) -> list[tuple[str, str]]:
    rows = selects.rows(
        "select max(finished_at) as sent_at from marts.report_runs where status = 'done' having sent_at is not null"
    )
    return [(selects.texts("report_fact_sent"), cells.moment(row["sent_at"]).text) for row in rows]


def _failed(selects: Selects, cells: Cells) -> list[tuple[str, str]]:
    """That the newest push did not end well: what the page shows is older than it looks."""
    rows = selects.rows("select * from marts.report_runs order by started_at desc limit 1")
    return [
        (selects.texts("report_point_push", moment=cells.moment(row["started_at"]).text), "runs")
        for row in rows
        if row["status"] in ("failed", "gated")
    ]


def _points(selects: Selects, cells: Cells) -> list[tuple[str, str]]:
    """What is worth a look, and where on the page it is."""
    texts = selects.texts
    (buyers,) = selects.rows(
        """select count(*) as number, sum(order_total) as total from marts.report_buyers_not_in_crm
           where is_repairable"""
    )
    counts = {
        row["kind"]: row["number"]
        for row in selects.rows("select kind, count(*) as number from marts.report_waiting group by kind")
    }
    failing = selects.rows("select source from marts.report_freshness where failing_since is not null order by source")
    points = [(texts("report_point_failing", source=cells.source(row["source"])), "freshness") for row in failing]
    if buyers["number"]:
        told = texts("report_point_buyers", number=texts.number(buyers["number"]), total=texts.number(buyers["total"]))
        points.append((told, "buyers"))
    points += [
        (texts(f"report_point_{kind}", number=texts.number(counts[kind])), kind) for kind in _WAITING if kind in counts
    ]
    return points
