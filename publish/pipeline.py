"""One cycle of the whole pipeline: the sources, the models with the registry between them, the gate, the portal.

Each step is a program of its own, so that what ends it ends nothing else: a source that is down, a damaged file, a
registry that refuses the key fail their step, and everything else goes on to the portal with what there is. Only what
the gate says stops the cycle before the portal: the push asks it first, and ops.steps has its answer.
"""

import sys
from contextlib import suppress
from datetime import date
from pathlib import Path

import duckdb

from ingest.settings import read_settings as read_ingest_settings
from ingest.warehouse import compaction, journal, period, reads, retention, running
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.environment import read_all
from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.lock import only_run
from ingest.warehouse.snapshot import confirm_snapshot, is_outdated
from ingest.warehouse.terminal import print_error, say
from publish import after_run, portals
from publish.cycle import BIN, GRAVEST_FIRST, MODELS, Cycle, copy_for_readers, environment, stopped_by_sigterm
from publish.settings import Settings
from publish.settings import read_settings as read_publish_settings

NAME, MODEL_STEPS = "publish run", "the models"

# How each kind of source is read, and whether a full run reads more of it.
INGESTERS = ((journal.INGEST_MYSQL, True), (journal.INGEST_JSON, True), (journal.INGEST_KAFKA, False))


def read_settings() -> Settings:
    """Those of `publish`. Raises SettingsError that tells what is wrong there, and in those of the steps before it."""
    settings: Settings
    settings, _ = read_all(read_publish_settings, read_ingest_settings)
    return settings


def run(settings: Settings, *, is_full: bool, moves_period: bool, let_through: bool, portal_problem: str = "") -> None:
    """One cycle. Settings that are wrong are told before anything runs; so was `portal_problem`, why the portal could
    not be published to then, which is kept: a push that has nothing to send does not ask it.

    Raises RunFailed at its end when a step did not end well, which names those; its exit status is the gravest of
    theirs (2, 3, 1, 4 in this order). Raises OperatorError at once, with status 75, when another cycle runs on this
    warehouse.
    """
    ingest_settings = read_ingest_settings()
    if not ingest_settings.is_any_source_set:
        raise ingest_settings.no_source()
    since = ingest_settings.general.since
    if moves_period and since:
        raise SettingsError("SVOD_SINCE says where the period begins", hint="change it there, or unset it")
    surroundings = environment(settings)
    going_on = running.told.step(settings.warehouse, NAME, surroundings["SVOD_RUN_ID"], is_run=True)
    with only_run(settings.warehouse) as lock, stopped_by_sigterm(), going_on:
        cycle = Cycle(lock, surroundings, {})
        is_copy_old = is_outdated(settings.warehouse)  # opening it to write touches the file
        keep_answer(settings, portal_problem)
        with open_warehouse(settings.warehouse) as connection:
            if not since:
                say_where_period_begins(connection, moves_period=moves_period)
        if is_copy_old or moves_period:
            copy_for_readers(settings)
        for name, can_be_full in INGESTERS:
            kind = name.removeprefix("ingest ")
            cycle.step(name, BIN / "ingest", kind, *(["--full"] if is_full and can_be_full else []))
        cycle.step(MODEL_STEPS, sys.executable, MODELS, *(["--full"] if is_full else []))
        is_copied = copy_for_readers(settings)  # a first push takes hours
        arguments = ["--let-through"] if let_through else []
        # Also after models that failed: it may have been the registry alone. The gate knows, and the push asks it.
        cycle.step(journal.PUBLISH_PUSH, BIN / "publish", "push", *arguments)
        has_changed = _has_asked(cycle, settings.warehouse)
        if settings.retention_days:
            has_changed |= let_old_versions_go(settings)
        if has_changed:
            copy_for_readers(settings)
        elif is_copied:  # but for the journal, the copy of before the push has all there is
            confirm_snapshot(settings.warehouse)
        after_run.tell(settings)
        _raise_what_failed(cycle, settings.warehouse)


def keep_answer(settings: Settings, problem: str) -> None:
    """Whether the portal answered now; a warehouse that is held does not keep it, and nothing has to wait for that."""
    if settings.portal:
        with suppress(OperatorError), open_warehouse(settings.warehouse) as connection:
            portals.tried(connection, settings.portal, problem)


def say_where_period_begins(connection: duckdb.DuckDBPyConnection, *, moves_period: bool) -> None:
    """Move the period when told to; else say, once a cycle, that a new year would have it begin later."""
    begins, by_calendar = period.start(connection), period.start_by_calendar()
    if moves_period and begins != by_calendar:
        period.move(connection, by_calendar)
        say(f"publish run: the period begins on {by_calendar} now, no longer on {begins}")
    elif begins < by_calendar:
        say(_period_is_old(begins, by_calendar))


def _period_is_old(begins: date, by_calendar: date) -> str:
    return (
        f"publish run: the period still begins on {begins}; `make full ARGS=--move-period` lets it begin on "
        f"{by_calendar}, which changes the sums of most companies (docs/operations.md, The turn of a year)"
    )


def _has_asked(cycle: Cycle, warehouse: Path) -> bool:
    """Whether the push of this cycle asked its portal anything, or may have."""
    with suppress(OperatorError), open_warehouse(warehouse) as connection:
        idle = connection.execute(
            """select 1 from ops.steps where run_id = ? and step = ? and status <> 'running'
                   and coalesce((detail ->> '$.requests')::bigint, 0) = 0""",
            [cycle.environment["SVOD_RUN_ID"], journal.PUBLISH_PUSH],
        ).fetchone()
        return idle is None
    return True


def let_old_versions_go(settings: Settings) -> bool:
    """What is older than SVOD_RETENTION_DAYS; the file is written anew when that leaves much of it empty. Whether
    anything went."""
    try:
        with open_warehouse(settings.warehouse) as connection:
            with journal.step(connection, retention.STEP) as step:
                gone = retention.let_go(connection, settings.retention_days)
                step.rows_out, step.detail = sum(gone.values()), dict(gone)
            is_worth_it = bool(gone) and compaction.is_worth_it(connection)
        if gone:
            say(f"publish run: {sum(gone.values()):,} rows older than {settings.retention_days} days went")
        if is_worth_it:
            say(f"publish run: {compaction.rewrite(settings.warehouse) / 1e6:,.0f} MB of the warehouse given back")
        return bool(gone)
    except OperatorError as error:
        print_error(error)
        return True


def _raise_what_failed(cycle: Cycle, warehouse: Path) -> None:
    """Raise OperatorError when a step did not end well: which, and whether anything was sent."""
    statuses = {status for status in cycle.statuses.values() if status}
    if not statuses:
        return
    gravest = next(status for status in GRAVEST_FIRST if status in statuses)
    failed, gated = _failed_and_gated(cycle, warehouse)
    if not failed and not gated:
        raise SystemExit(gravest)  # 4: push has said all there is to say
    told = [f"failed: {', '.join(failed)}"] if failed else []
    if gated:
        told.append(f"stopped before the portal by a gate: {', '.join(gated)}")
    elif cycle.statuses[journal.PUBLISH_PUSH] and not _has_asked(cycle, warehouse):
        told.append("nothing was sent")
    hint = "why is said above" if gated else "why is said above; the next run goes on from there"
    raise after_run.RunFailed(f"this run {'; '.join(told)}", hint=hint, exit_status=gravest)


def _failed_and_gated(cycle: Cycle, warehouse: Path) -> tuple[list[str], list[str]]:
    """The steps of either kind; those that read sources with the names of the sources that failed."""
    failed = {name for name, status in cycle.statuses.items() if status in (1, 2)}
    gated = {name for name, status in cycle.statuses.items() if status == 3}
    sources: dict[str, list[str]] = {}
    with suppress(OperatorError), open_warehouse(warehouse) as connection:
        journalled = connection.execute(
            "select step, status from ops.steps where run_id = ? and status in ('failed', 'gated')",
            [cycle.environment["SVOD_RUN_ID"]],
        ).fetchall()
        for name, status in journalled:
            (failed if status == "failed" else gated).add(name)
        for failing in reads.failing(connection):
            sources.setdefault(f"ingest {failing.kind.lower()}", []).append(failing.source)
    if models := {name for name in failed | gated if name.startswith(journal.DBT_ALL)}:  # which step of them it was
        failed -= {MODEL_STEPS, journal.PUBLISH_PUSH} if models & failed else {MODEL_STEPS}
        gated -= {journal.PUBLISH_PUSH}
    elif (failed | gated) - cycle.statuses.keys():  # it was the registry's
        failed -= {MODEL_STEPS}
    return [f"{name} ({', '.join(sources[name])})" if name in sources else name for name in sorted(failed)], sorted(
        gated
    )
