"""`publish plan | push | status | gate | sandbox`; the only module here that prints."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import duckdb
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from publish import changes, gate, mapping
from publish.ledger import Ledger
from publish.pacing import Pace
from publish.portal import Portal, shown
from publish.push import Publisher, Result
from publish.settings import Settings, read_settings

MEMORY_LIMIT = "1500MB"  # DuckDB's share; what does not fit goes to its temporary directory

app = typer.Typer(
    help="Bring the marts to Bitrix24, only what changed.", no_args_is_help=True, pretty_exceptions_enable=False
)
console = Console(width=None if sys.stdout.isatty() else 160)  # a log file has no width to fold tables to
errors = Console(stderr=True)


def say(text: str) -> None:
    """One plain line on standard output; company names are no markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, held for as long as it is needed: DuckDB's lock is what keeps a second publisher out."""
    connection = open_warehouse(settings.warehouse)
    try:
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        Ledger(connection)
        yield connection
    finally:
        connection.close()


@app.command()
def plan(
    show: Annotated[int, typer.Option("--show", min=0, help="Changes of each kind to show, field by field.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what push would create, update and leave; sends nothing and asks the portal nothing."""
    settings = read_settings()
    with warehouse(settings) as connection, journal.step(connection, "publish plan") as step:
        changes.compute(connection)
        figures = changes.summary(connection, settings.bitrix24_rate, settings.bitrix24_burst, settings.operating_limit)
        step.rows_in = sum(figures.published.values())
        step.rows_out = sum(sum(actions.values()) for actions in figures.counts.values())
        examples = list(changes.examples(connection, show)) if show else []
    if as_json:
        sys.stdout.write(json.dumps(_as_json(figures, examples), ensure_ascii=False) + "\n")
        return
    _print_plan(figures)
    for change in examples:
        say(f"{change['action']} {change['entity']} {change['origin_id']}")
        for name, (old, new) in change["fields"].items():
            say(f"    {name}: {shown(old) or '(empty)'} -> {shown(new) or '(empty)'}")


def _as_json(figures: changes.Plan, examples: list[dict]) -> dict:
    return {
        "counts": figures.counts,
        "published": figures.published,
        "set_aside": figures.set_aside,
        "commands": figures.commands,
        "requests": figures.requests,
        "requests_least": figures.requests_least,
        "seconds": round(figures.seconds, 1),
        "changes": examples,
    }


def _print_plan(figures: changes.Plan) -> None:
    table = Table("part", "published", "create", "update", "remove", title="plan", title_justify="left")
    for entity in mapping.PARTS:
        actions = figures.counts[entity]
        cells = [figures.published.get(entity, 0), *(actions.get(name, 0) for name in ("create", "update", "remove"))]
        table.add_row(entity, *(f"{number:,}" for number in cells))
    console.print(table)
    if figures.is_empty:
        say("nothing to send")
    else:
        say(
            f"about {figures.requests:,} requests (the least possible: {figures.requests_least:,}), "
            f"about {_duration(figures.seconds)} under both limits of the portal"
        )
        say("cards that managers have typed in are looked for when pushing; this plan counts them as new")
    if figures.set_aside:
        say(f"{figures.set_aside:,} records are set aside in sync.dead_letters")


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


@app.command()
def push(
    let_through: Annotated[bool, typer.Option("--let-through", help="Let a large plan through, this once.")] = False,
) -> None:
    """Send the changes to the portal. May be stopped at any moment and run again."""
    settings = read_settings()
    webhook = settings.webhook()
    with warehouse(settings) as connection:
        gate.check(connection)
        with journal.step(connection, "publish push") as step, _progress() as report:
            result = asyncio.run(_push(settings, webhook, connection, let_through, report))
            step.rows_out = sum(result.created.values()) + sum(result.updated.values())
            step.detail |= vars(result)
    _print_result(result)
    if result.set_aside:
        raise OperatorError(
            f"{result.set_aside} records are set aside in sync.dead_letters",
            hint="`publish status` lists the errors; they are tried again with a growing delay",
            exit_status=4,
        )


async def _push(settings, webhook, connection, let_through: bool, report: "Reporter") -> Result:
    pace = Pace(settings.bitrix24_rate, settings.bitrix24_burst, settings.operating_limit, on_wait=report.waiting)
    async with Portal(webhook, pace) as portal:
        publisher = Publisher(
            connection, portal, settings, let_through=let_through, report=report, expect=report.expect
        )
        return await publisher.run()


class Reporter:
    """Shows parts as they are settled: a bar a kind on a terminal, a plain line every ten seconds elsewhere."""

    def __init__(self, bars: Progress | None) -> None:
        self.bars, self.tasks, self.done = bars, dict[str, TaskID](), dict[str, int]()
        self.said_at = time.monotonic()
        self.waits: dict[str, float] = {}

    def expect(self, entity: str, number: int) -> None:
        if self.bars and number:
            self.tasks[entity] = self.bars.add_task(entity, total=number)

    def __call__(self, entity: str, number: int) -> None:
        self.done[entity] = self.done.get(entity, 0) + number
        if self.bars and entity in self.tasks:
            self.bars.advance(self.tasks[entity], number)
        elif not self.bars and time.monotonic() - self.said_at > 10:
            self.said_at = time.monotonic()
            say("publish push: " + ", ".join(f"{name} {count:,}" for name, count in self.done.items()))

    def waiting(self, what: str, until: float) -> None:
        if until - self.waits.get(what, 0.0) < 60:  # a long push waits every minute: said once is enough
            return
        self.waits[what] = until
        say(f"publish push: waiting for {what} until {datetime.fromtimestamp(until, UTC):%H:%M:%S} UTC")


@contextmanager
def _progress() -> Iterator[Reporter]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars = Progress(*columns, console=console, transient=True) if console.is_terminal else None
    with bars or nullcontext():
        yield Reporter(bars)


def _print_result(result: Result) -> None:
    def said(counts: dict[str, int]) -> str:
        return ", ".join(f"{entity} {number:,}" for entity, number in counts.items()) or "nothing"

    say(f"publish push: created {said(result.created)}; updated {said(result.updated)}; {result.requests:,} requests")
    if result.adopted:
        say(f"publish push: {result.adopted:,} parts that were in the portal already were adopted")
    for number, where, what in (
        (result.conflicts, "conflicts", "fields were changed by managers and left alone"),
        (result.doubles, "adoption_doubles", "records could be several portal cards and wait for a person"),
    ):
        if number:
            say(f"publish push: {number:,} {what}: sync.{where}")


@app.command()
def status() -> None:
    """What is published, what waits, what was refused, what was left to managers."""
    with warehouse(read_settings()) as connection:
        for title, sql in _STATUS.items():
            rows = connection.execute(sql)
            names = [column[0] for column in rows.description]
            table = Table(*names, title=title, title_justify="left")
            for row in rows.fetchall():
                table.add_row(*("" if value is None else str(value) for value in row))
            console.print(table) if table.row_count else say(f"{title}: none")


# Names of companies and people stay in the warehouse: only keys, fields and errors are shown.
_STATUS = {
    "published": "select entity, count(*) as parts, max(synced_at) as last_sent from sync.ledger group by 1 order by 1",
    "last pushes": """select run_id, started_at, status, rows_out, detail ->> '$.error' as error from ops.steps
        where step = 'publish push' order by started_at desc limit 5""",
    "answers not seen yet": """select entity, count(*) as creates, min(intended_at) as since
        from sync.intents group by 1""",
    "refused (sync.dead_letters)": """select entity, error, error_description, count(*) as records,
        max(attempts) as attempts, min(next_at) as next_at from sync.dead_letters
        group by 1, 2, 3 order by 4 desc limit 20""",
    "left to managers (sync.conflicts)": """select entity, field, count(*) as records, max(noticed_at) as noticed_at
        from sync.conflicts group by 1, 2 order by 3 desc limit 20""",
    "for a person to join (sync.adoption_doubles)": """select entity, origin_id, bitrix_ids from sync.adoption_doubles
        order by noticed_at desc limit 20""",
}


@app.command("gate")
def gate_command() -> None:
    """Say whether the models' last run lets a push through; exit 3 with the tests and their rows when it does not."""
    with warehouse(read_settings()) as connection:
        gate.check(connection)
    say("publish gate: the last model run passed its gates")


@app.command()
def sandbox(
    state: Annotated[str, typer.Option(help="File that keeps the portal's state, or :memory:")] = ":memory:",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    no_limits: Annotated[bool, typer.Option("--no-limits", help="As a self-hosted portal.")] = False,
    fault_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of requests that go wrong.")] = 0.0,
    fault_seed: Annotated[int | None, typer.Option(help="The same seed, the same faults.")] = None,
) -> None:
    """Serve a stand-in portal on loopback; prints its webhook address and runs until interrupted."""
    try:
        from publish.sandbox import Faults, Limits, serve  # a web server that no other command needs
    except ModuleNotFoundError as error:
        problem = f"the sandbox needs packages that a server does without ({error.name} is missing)"
        raise OperatorError(problem, hint="pip install 'svod[sandbox]'", exit_status=2) from None

    serve(
        state if state == ":memory:" else Path(state),
        port=port,
        limits=Limits.none() if no_limits else Limits.standard(),
        faults=Faults(rate=fault_rate, seed=fault_seed),
        on_ready=lambda webhook: print(webhook, flush=True),
    )


def main() -> None:
    """Entry point: an OperatorError is one line and a hint, and its exit status."""
    try:
        app()
    except OperatorError as error:
        errors.print(f"error: {error.problem}", markup=False, highlight=False, style="red", soft_wrap=True)
        if error.hint:
            errors.print(f"hint: {error.hint}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_status)
