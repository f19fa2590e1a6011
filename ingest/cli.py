"""`ingest mysql | json | kafka | registry | status`; the only module here that prints."""

import gc
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from glob import glob
from pathlib import Path
from typing import Annotated

import duckdb
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ingest.settings import Settings, read_settings
from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError

MEMORY_LIMIT = "140MB"  # DuckDB's share; appends need little, and the promise is 400 MB for the whole process
CHECKPOINT_BYTES = "256MB"  # at 16 MB, the default, the same rows are compressed again and again
COMPRESSION = "uncompressed"  # trying the compressions out took a third of the time of landing a JSON file

# Each command imports its own source only: kafka's client takes as long to import as everything else together.
app = typer.Typer(
    help="Land the sources in the warehouse's schema raw, as they are.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console()
errors = Console(stderr=True)


def say(text: str) -> None:
    """One plain line on standard output; names of files and tables are no markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def landing(name: str) -> Iterator[tuple[Settings, duckdb.DuckDBPyConnection, journal.Step]]:
    """Settings, the open warehouse and a journalled step called `ingest <name>`."""
    settings = read_settings()
    connection = open_warehouse(settings.warehouse)
    try:
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"set checkpoint_threshold = '{CHECKPOINT_BYTES}'; set force_compression = '{COMPRESSION}'")
        with journal.step(connection, f"ingest {name}") as step:
            yield settings, connection, step
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        text = str(error).splitlines()[0]
        raise OperatorError(f"the warehouse cannot take more: {text}", hint="is the disk full?") from None
    finally:
        connection.close()


@contextmanager
def progress(description: str, total: int | None, unit: str = "rows") -> Iterator[tuple[Progress, int]]:
    """A bar on a terminal; nothing elsewhere, where the lines that say what was done are enough."""
    columns = [TextColumn("{task.description}"), BarColumn()]
    columns += [
        TaskProgressColumn() if unit == "bytes" else MofNCompleteColumn(),
        TextColumn(unit if unit == "rows" else ""),
    ]
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield bar, bar.add_task(description, total=total)


@app.command("mysql")
def mysql_command(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables; those of SVOD_SHOP_A_TABLES unless named.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="From SVOD_SINCE, not from the high-water mark.")] = False,
) -> None:
    """Land shop A's tables: what changed since the last run, or everything."""
    from ingest import mysql

    with landing("mysql") as (settings, connection, step):
        if settings.shop_a is None:
            say("ingest mysql: SVOD_SHOP_A_URL is not set, shop A is skipped")
            step.detail["skipped"] = "SVOD_SHOP_A_URL is not set"
            return
        wholes = {entry.partition(":")[0]: entry.endswith(":whole") for entry in settings.shop_a_tables}
        with mysql.connect(settings.shop_a) as server:
            for name in tables or wholes:
                table = mysql.SourceTable(
                    server, settings.shop_a, name, settings.shop_a_changed_column, settings.shop_a_charsets
                )
                with progress(f"shop_a.{name}", None) as (bar, task):
                    read, landed = mysql.land_table(
                        connection,
                        table,
                        step,
                        source="shop_a",
                        since=None if wholes.get(name) else settings.since_at,
                        is_full=full,
                        overlap=timedelta(minutes=settings.shop_a_overlap_minutes),
                        on_progress=lambda rows, bar=bar, task=task: bar.advance(task, rows),
                    )
                step.detail[name] = {"read": read, "landed": landed}
                say(f"shop_a.{name}: {read} rows read, {landed} landed")
        say(f"ingest mysql: {step.rows_out} of {step.rows_in} rows read were new and are landed")


@app.command("json")
def json_command(
    files: Annotated[list[Path] | None, typer.Argument(help="Files; those of SVOD_SHOP_B_FILES unless named.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read files again that look unchanged, by size and time.")
    ] = False,
) -> None:
    """Land shop B's JSON files, object by object; files that are landed already are skipped."""
    from ingest import json_file

    gc.set_threshold(100_000)  # parsing makes millions of containers and no cycles: looking for some took a fifth of it
    with landing("json") as (settings, connection, step):
        if not files and not settings.shop_b_files:
            say("ingest json: SVOD_SHOP_B_FILES is not set, shop B's files are skipped")
            step.detail["skipped"] = "SVOD_SHOP_B_FILES is not set"
            return
        broken: list[OperatorError] = []
        for path, name in named_files(files, settings.shop_b_files):
            document = json_file.JSONFile(path, name, array=settings.shop_b_array, charset=settings.shop_b_charset)
            before = step.rows_out
            with progress(name, path.stat().st_size, "bytes") as (bar, task):
                try:
                    json_file.land_json_file(
                        connection,
                        document,
                        "shop_b__companies",
                        step,
                        is_full=full,
                        on_progress=lambda position, bar=bar, task=task: bar.update(task, completed=position),
                    )
                except OperatorError as error:
                    broken.append(error)
            for warning in document.warnings:
                say(f"warning: {warning}")
            step.detail[name] = {"landed": step.rows_out - before, "warnings": document.warnings}
            if broken and broken[-1].problem.startswith(name):
                step.detail[name]["error"] = broken[-1].problem
            say(
                f"{name}: {step.rows_out - before} objects landed"
                + ("" if document.text else " (landed before, unchanged)")
            )
        say(f"ingest json: {step.rows_out} objects landed")
        if broken:
            for error in broken[:-1]:
                print_error(error)
            raise broken[-1]


@app.command("kafka")
def kafka_command() -> None:
    """Land shop B's topic from the stored offsets to its present end."""
    from ingest import kafka

    with landing("kafka") as (settings, connection, step):
        if not settings.shop_b_kafka:
            say("ingest kafka: SVOD_SHOP_B_KAFKA is not set, shop B's topic is skipped")
            step.detail["skipped"] = "SVOD_SHOP_B_KAFKA is not set"
            return
        warnings = step.detail.setdefault("warnings", [])
        topic = kafka.Topic(settings)
        try:
            with progress(topic.name, None, "messages") as (bar, task):
                kafka.land_topic(
                    connection,
                    topic,
                    "shop_b__events",
                    step,
                    warn=warnings.append,
                    on_progress=lambda messages: bar.advance(task, messages),
                )
        finally:
            topic.close()
        for warning in warnings:
            say(f"warning: {warning}")
        refused = step.rows_in - step.rows_out
        say(
            f"ingest kafka: {step.rows_out} messages landed"
            + (f", {refused} refused as dead letters" if refused else "")
        )


@app.command("registry")
def registry_command() -> None:
    """Land the registry's verdicts on the companies the models ask for: the file's, then the service's."""
    from ingest import registry

    with landing("registry") as (settings, connection, step):
        if settings.registry_file:
            landed = registry.land_verdict_file(connection, settings.registry_file, step)
            what = "loaded before, unchanged" if landed is None else f"{landed} new verdicts landed"
            say(f"{settings.registry_file.name}: {what}")
        if not settings.registry_token:
            if not settings.registry_file:
                step.detail["skipped"] = "SVOD_REGISTRY_TOKEN is not set"
            say("ingest registry: SVOD_REGISTRY_TOKEN is not set, the service is not asked; verdicts held are used")
            return
        inns = registry.wanted_inns(connection, timedelta(days=settings.registry_ttl_days))
        token = settings.registry_token.get_secret_value()
        service = registry.Registry(settings.registry_url, token, settings.registry_rate)
        with progress("registry", len(inns), "INNs") as (bar, task):
            before = step.rows_out
            registry.land_verdicts(connection, service, inns, step, lambda verdicts: bar.advance(task, verdicts))
        say(f"ingest registry: {step.rows_out - before} of {len(inns)} INNs asked for, verdicts landed")


@app.command("status")
def status_command() -> None:
    """What the last runs did, how far each source has been read, what waits, what was refused."""
    from ingest import registry

    settings = read_settings()
    connection = open_warehouse(settings.warehouse, read_only=True)
    try:
        steps = connection.execute(
            """select step, status, started_at, round(epoch(coalesce(finished_at, started_at) - started_at), 1),
                      rows_in, rows_out, detail ->> '$.error'
               from ops.steps qualify row_number() over (partition by step order by started_at desc) = 1
               order by started_at"""
        ).fetchall()
        marks = connection.execute("select source, position, updated_at from ops.watermarks order by source").fetchall()
        refused = connection.execute(
            "select source, reason, count(*), max(ingested_at) from raw.dead_letters group by all order by all"
        ).fetchall()
        show("Last run of each step", ["step", "status", "started (UTC)", "seconds", "in", "out", "error"], steps)
        show("Read so far", ["source", "position", "at (UTC)"], [(name, brief(mark), at) for name, mark, at in marks])
        show("Refused input (raw.dead_letters)", ["source", "reason", "count", "last (UTC)"], refused)
        try:
            waiting = len(registry.unanswered_inns(connection, timedelta(days=settings.registry_ttl_days)))
            show("Waits", ["what", "count"], [("INNs for a verdict of the registry", waiting)])
        except duckdb.CatalogException:
            say("Waits: nothing known, the models have not been built")
    finally:
        connection.close()


def brief(position: str) -> str:
    """A position for reading: a file's state by its count of objects, anything else as it is."""
    if not position.startswith("{"):
        return position
    state = json.loads(position)
    return f"{state['objects']} objects" + ("" if state["is_complete"] else ", not to its end")


def show(title: str, columns: list[str], rows: list[tuple]) -> None:
    """A table of what `status` found; "nothing" when there is nothing."""
    table = Table(*columns, title=title, title_justify="left", show_edge=False)
    for row in rows:
        table.add_row(
            *(
                "" if value is None else Text(str(value)[:19] if isinstance(value, datetime) else str(value))
                for value in row
            )
        )
    console.print(table if rows else f"{title}: nothing")
    console.print()


def named_files(files: list[Path] | None, pattern: str | None) -> list[tuple[Path, str]]:
    """The files to read with the names they go by in the warehouse: unique, the same wherever the folder is mounted.

    Raises OperatorError when there is no such file.
    """
    # pathlib's glob wants a pattern relative to some folder; this one takes what the operator typed
    paths = files or sorted(Path(found) for found in glob(pattern or "", recursive=True))  # noqa: PTH207
    missing = [path for path in paths if not path.is_file()]
    if not paths or missing:
        raise OperatorError(
            f"there is no file {missing[0] if missing else pattern}",
            hint="check SVOD_SHOP_B_FILES: a path or a pattern like data/history-*.json*",
        )
    names = [path.name for path in paths]
    return [(path, path.name if names.count(path.name) == 1 else path.as_posix()) for path in paths]


def print_error(error: OperatorError) -> None:
    """The problem as one line, the hint as another, on standard error."""
    errors.print(f"error: {error.problem}", markup=False, highlight=False, style="red", soft_wrap=True)
    if error.hint:
        errors.print(f"hint: {error.hint}", markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; an OperatorError becomes two lines and its exit status."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters of it comes as an error, in one line
    logging.getLogger("stamina").setLevel(logging.ERROR)
    try:
        app(standalone_mode=True)
    except OperatorError as error:
        print_error(error)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
