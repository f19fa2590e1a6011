"""Where a move stands: backup, baseline, what is to be done, the comparison, what people do, the forecast."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import duckdb

from ingest.warehouse import checklist, journal
from ingest.warehouse.errors import OperatorError
from publish.page.texts import Texts
from publish.settings import Settings
from publish.transfer import boxes, forecast, gate, verdict
from publish.transfer.ledger import TransferLedger
from publish.transfer.to_do import planned_so_far

_STAGES = (journal.TRANSFER_BASELINE, journal.TRANSFER_REHEARSAL, journal.TRANSFER_DELTA, journal.TRANSFER_FINAL)


class StatusTable(NamedTuple):
    """One table of the status."""

    title: str
    columns: list[str]
    rows: list[tuple[Any, ...]]


def lines(connection: duckdb.DuckDBPyConnection, settings: Settings, freeze_at: datetime | None) -> Iterator[str]:
    """Where it stands, a line each."""
    _, portal = settings.box()
    box = boxes.box_of(connection, portal)
    yield f"from {settings.cloud or '(SVOD_CLOUD_WEBHOOK is not set)'} to {portal}"
    yield from _unfinished(connection)
    if told := _backup(connection):
        yield told
    if box is None or box.baseline_at is None:
        yield "baseline: none so far; make transfer-baseline, right after the restore"
    else:
        what = "nothing was restored" if box.baseline_snapshot is None else f"snapshot {box.baseline_snapshot}"
        yield f"baseline: {box.baseline_at:%Y-%m-%d %H:%M} UTC, {what}"
    is_off = boxes.is_automation_off(connection, portal)
    yield f"automation of the box: {'said to be off' if is_off else 'nobody has said that it is off'}"
    to_do = planned_so_far(connection, settings, portal)
    told = "not known" if to_do is None else forecast.listed(to_do) or "nothing"
    yield f"to do, by the last models: {told}"
    if stopped := gate.reason_to_stop(connection):
        yield f"a push would not begin: {stopped}"
    if set_aside := TransferLedger(connection, portal, settings.cloud).dead_letters():
        yield f"set aside: {set_aside:,} in transfer.dead_letters"
    try:
        yield from verdict.read(connection).lines
    except OperatorError as error:
        yield error.problem
    yield from forecast.lines(connection, to_do or {}, portal, freeze_at)
    yield from _facts(connection)


def _unfinished(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """The last stage, where it did not end well."""
    row = connection.execute(
        """select step, status, started_at, detail ->> '$.error' from ops.steps where step in (select unnest(?))
           order by started_at desc limit 1""",
        [list(_STAGES)],
    ).fetchone()
    if row and row[1] in ("failed", "gated"):
        step, _, at, error = row
        why = "it was stopped" if error in (None, "SystemExit", "KeyboardInterrupt") else error
        yield f"{step} of {at:%Y-%m-%d %H:%M} UTC did not come to its end: {why}; run it again"


def tables(connection: duckdb.DuckDBPyConnection, settings: Settings) -> Iterator[StatusTable]:
    """What has run, and what people have to do."""
    rows = connection.execute(
        """select step, status, started_at, round(epoch(coalesce(finished_at, started_at) - started_at), 1),
               len(from_json(detail -> '$.found', '["JSON"]')), rows_out, detail ->> '$.error'
           from ops.steps where step in (select unnest(?))
           order by started_at desc limit 10""",
        [list(_STAGES)],
    ).fetchall()
    texts = Texts(settings.lang)

    def columns(*names: str) -> list[str]:
        return [texts(f"transfer_status_{name}") for name in names]

    of_stages = columns("stage", "status", "started", "seconds", "passes", "found", "error")
    yield StatusTable(texts("transfer_status_stages"), of_stages, rows[::-1])
    done = checklist.last_work(connection)
    ticked = [
        ("x" if item.step in done else "", item.step, texts.known("transfer_phase", item.phase), item.who, item.text)
        for item in checklist.items(settings.lang)
    ]
    of_people = ["", *columns("step", "when", "who", "what")]
    yield StatusTable(texts("transfer_status_people"), of_people, ticked)


def _backup(connection: duckdb.DuckDBPyConnection) -> str:
    ((parts, proven),) = connection.execute("select count(*), count(proof) from transfer.parts").fetchall()
    if not parts:
        return ""
    rest = forecast.backup_rest(connection)
    return f"backup: {proven} of {parts} parts are proven" + (f", {forecast.duration(rest)} to go" if rest else "")


def _facts(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """The last final runs that came to their end, beside their forecasts."""
    rows = connection.execute(
        """select started_at, coalesce((detail ->> '$.passes_seconds')::double, epoch(finished_at - started_at)),
               (detail ->> '$.forecast_seconds')::double
           from ops.steps where step = ? and status = 'done' order by started_at desc limit 2""",
        [journal.TRANSFER_FINAL],
    ).fetchall()
    for started_at, took, expected in reversed(rows):
        yield f"final run of {started_at:%Y-%m-%d %H:%M} UTC: {forecast.against_fact(expected, took)}"
