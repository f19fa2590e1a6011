"""`publish transfer baseline | rehearsal | delta | final | plan | push | retry | verify | dates | status | report`."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeAlias

import duckdb
import typer
from pydantic import SecretStr

from ingest.bitrix24.client import Client
from ingest.warehouse import journal, log, terminal
from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.terminal import print_table, say
from publish.bitrix24.run import Result
from publish.change_limit import Limit
from publish.looking import reading
from publish.screen import PushProgress, warehouse
from publish.set_aside import Choice, retry
from publish.settings import MOVED, Settings, read_settings
from publish.transfer import boxes, dates, gate, stages, status, verdict
from publish.transfer import push as pushes
from publish.transfer.kinds import MART
from publish.transfer.ledger import TransferLedger
from publish.transfer.push import push, zone_of
from publish.transfer.report_command import report_command
from publish.transfer.stage import Word
from publish.transfer.steps import BOX, pace_of
from publish.transfer.stopwatch import Stopwatch
from publish.transfer.to_do import LATER, UNANSWERED, planned_so_far

app = typer.Typer(help="Move a company from a cloud portal to a box.", no_args_is_help=True)
app.command("report")(report_command)
AutomationIsOff: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--automation-is-off",
        help="Robots, outgoing mail, telephony and webhooks of the box are off; said once, it is remembered.",
    ),
]


@app.callback()
def transfer() -> None:
    """Move a company from a cloud portal to a box."""


Gone: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--gone", help="What really is no longer there, as funnel:7 or leads; it counts as deleted."),
]
AllParts: TypeAlias = Annotated[
    bool,
    typer.Option("--all-parts", help="Comments and bindings of all cards and activities, not of changed ones alone."),
]


# Stages ---------------------------------------------------------------------------------------------------------------


@app.command("baseline")
def baseline_command(
    no_backup: Annotated[
        bool, typer.Option("--no-backup", help="Nothing was restored: everything is made in the box.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="In the place of the baseline that this box has.")] = False,
    gone: Gone = None,
) -> None:
    """Land the box right after the restore, before anybody works in it, and mark it."""
    word = Word(gone=tuple(gone or ()))
    stages.baseline(read_settings(), has_backup=not no_backup, again=again, word=word)


@app.command("rehearsal")
def rehearsal_command(
    automation_is_off: AutomationIsOff = False, gone: Gone = None, all_parts: AllParts = False
) -> None:
    """Move everything into a box to try out, compare, and forecast the standstill."""
    stages.rehearsal(read_settings(), Word(automation_is_off, tuple(gone or ()), all_parts))


@app.command("delta")
def delta_command(automation_is_off: AutomationIsOff = False, gone: Gone = None, all_parts: AllParts = False) -> None:
    """Move what has changed, while people go on working in the cloud; as often as one likes."""
    stages.delta(read_settings(), Word(automation_is_off, tuple(gone or ()), all_parts))


@app.command("final")
def final_command(
    confirm: Annotated[str, typer.Option(help="`frozen`: nobody works in the cloud any more.")] = "",
    automation_is_off: AutomationIsOff = False,
    gone: Gone = None,
    all_parts: AllParts = False,
) -> None:
    """Move what is left until nothing is, compare, and let the first job go on in the box."""
    stages.final(read_settings(), confirm, Word(automation_is_off, tuple(gone or ()), all_parts))


# Looking --------------------------------------------------------------------------------------------------------------


@contextmanager
def _reading(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    if not settings.warehouse.exists():
        raise OperatorError(
            f"nothing has been moved so far: there is no warehouse at {settings.warehouse}",
            hint="begin with make transfer-backup, or make transfer-baseline",
        )
    with reading(settings) as connection:
        yield connection


@app.command("plan")
def plan_command(
    show: Annotated[int, typer.Option("--show", min=0, max=10_000, help="Records to show, with their fields.")] = 0,
) -> None:
    """Show what a push would do, as the models have it that were built last; asks and sends nothing."""
    settings = read_settings()
    with _reading(settings) as connection:
        to_do = planned_so_far(connection, settings, settings.box()[1])
        if to_do is None:
            gate.check(connection)
        if not to_do:
            say("publish transfer plan: nothing to do")
            return
        sql = "select entity, action, count(*) from transfer_work group by all order by all"
        more = [(what, "", to_do[what]) for what in (LATER, UNANSWERED) if what in to_do]
        rows = [*connection.execute(sql).fetchall(), *more]
        print_table("What the box is to get", ["entity", "action", "records"], rows)
        sql = f"""select entity, source_id, action, detail, fields::varchar from {MART}
                  semi join transfer_work using (entity, source_id) order by entity, position limit {show}"""
        for entity, source_id, action, detail, fields in connection.execute(sql).fetchall():
            say(f"{action} {entity} {source_id}{f' ({detail})' if detail else ''}: {fields}")
        if stopped := gate.reason_to_stop(connection):
            say(f"nothing of it may go out now: {stopped}")


@app.command("verify")
def verify_command() -> None:
    """Say what the comparison of all records came to, as it was made last; exit 3 when the portals differ without a
    reason."""
    with _reading(read_settings()) as connection:
        gate.check(connection)
        result = verdict.read(connection)
    for line in result.lines:
        say(f"publish transfer verify: {line}")
    result.check()


@app.command("status")
def status_command(
    freeze_at: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"], help="When to freeze the cloud, local time."),
    ] = None,
) -> None:
    """Where the move stands, what people have to do, and how long the sales floor will stand still."""
    settings = read_settings()
    if freeze_at and freeze_at < datetime.now() - timedelta(days=1):
        raise SettingsError(f"--freeze-at {freeze_at:%Y-%m-%d %H:%M} is over", hint="a time to come, local")
    with _reading(settings) as connection:
        for line in status.lines(connection, settings, freeze_at):
            say(line)
        say("")
        for table in status.tables(connection, settings):
            print_table(*table)


# Writing --------------------------------------------------------------------------------------------------------------


@app.command("push")
def push_command(
    automation_is_off: AutomationIsOff = False,
    new_box: Annotated[
        bool, typer.Option("--new-box", help="The box at this address is another one than that moved to before.")
    ] = False,
    let_through: Annotated[bool, typer.Option("--let-through", help="Let many deletions through, this once.")] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Go on from this warehouse in a box that another one has moved to.")
    ] = False,
) -> None:
    """Send the box what marts.transfer_records says. May be stopped at any moment and run again."""
    log.keep()
    settings = read_settings()
    webhook, name = settings.box()
    with warehouse(settings) as connection:
        gate.check(connection)
        if settings.transfer_deletions == "delete" and not let_through:
            gate.check_deletions(connection, Limit(settings.fuse_share, settings.fuse_floor))
        ledger = TransferLedger(connection, name, _cloud(connection, settings))
        boxes.check_source(connection, name, ledger.cloud)
        with journal.step(connection, journal.TRANSFER_PUSH) as step, terminal.progress_bars() as bars:
            shown = PushProgress(bars, journal.TRANSFER_PUSH)
            progress = Stopwatch(shown)
            word = pushes.Word(automation_is_off, new_box, take_over)
            try:
                result = asyncio.run(_push(ledger, settings, webhook, shown, progress, word))
            finally:
                step.detail["kinds"] = progress.kinds
            step.rows_out = sum(result.created.values()) + sum(result.updated.values())
            step.detail |= asdict(result)
    for what, counts in (("created", result.created), ("changed", result.updated)):
        told = ", ".join(f"{entity} {number:,}" for entity, number in counts.items()) or "nothing"
        say(f"{journal.TRANSFER_PUSH}: {what} {told}")
    if result.dead_letters_now:
        raise OperatorError(
            f"{result.dead_letters_now} records are dead-lettered in transfer.dead_letters",
            hint="they are tried again with a growing delay, by `publish transfer retry`, or at once when they change",
            exit_status=4,
        )


async def _push(
    ledger: TransferLedger,
    settings: Settings,
    webhook: SecretStr,
    shown: PushProgress,
    progress: Stopwatch,
    word: pushes.Word,
) -> Result:
    pace = pace_of(settings)
    pace.on_wait, pace.on_pause = shown.waiting, shown.pausing
    async with Client(webhook, pace, variable=BOX) as client:
        return await push(ledger, client, settings, dates_file(settings), progress, word)


@app.command("retry")
def retry_command(
    entity: Annotated[str | None, typer.Option("--entity", help="All of a kind: company, lead, activity, …")] = None,
    source_ids: Annotated[
        list[str] | None, typer.Option("--id", help="A record, by its id in the cloud; may be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that was refused.")] = False,
) -> None:
    """Have the next push try again what the box refused, without waiting for its time."""
    settings = read_settings()
    choice = Choice(MOVED, entity, tuple(source_ids or ()), everything)
    with warehouse(settings) as connection:
        ledger = TransferLedger(connection, settings.box()[1], _cloud(connection, settings))
        due, _ = retry(ledger, choice)
    say(f"publish transfer retry: {due:,} dead letters are due; the next stage, or `publish transfer push`, sends them")


@app.command("dates")
def dates_command() -> None:
    """Write the statements for the dates that the box did not take, for its own MySQL."""
    settings = read_settings()
    webhook, name = settings.box()
    with warehouse(settings) as connection:
        if not gate.is_built(connection):  # then it is not known which have not
            gate.check(connection)
        ledger = TransferLedger(connection, name, _cloud(connection, settings))
        number = asyncio.run(_write_dates(ledger, settings, webhook))
    if number:
        say(f"publish transfer dates: {number:,} cards; look through {dates_file(settings)}, then run it by hand")
    else:
        say("publish transfer dates: every card has its dates")


async def _write_dates(ledger: TransferLedger, settings: Settings, webhook: SecretStr) -> int:
    async with Client(webhook, pace_of(settings), variable=BOX) as client:
        return dates.write(ledger, dates_file(settings), await zone_of(client))


def dates_file(settings: Settings) -> Path:
    """Where the statements for refused dates go: beside the warehouse."""
    return settings.warehouse.parent / "transfer" / "dates.sql"


def _cloud(connection: duckdb.DuckDBPyConnection, settings: Settings) -> str:
    """The portal that was read last as the one to leave; one that was never read is that of the settings."""
    row = connection.execute(
        """select portal from ops.snapshots where source = 'cloud' and completed_at is not null
           order by snapshot_id desc limit 1"""
    ).fetchone()
    if row:
        return str(row[0])
    if not settings.cloud:
        raise SettingsError("SVOD_CLOUD_WEBHOOK is not set, and no cloud portal was read", hint="see .env.example")
    return settings.cloud
