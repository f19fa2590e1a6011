"""How all programs speak to the operator: lines, tables, progress bars, errors as two lines and an exit status."""

import os
import stat
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NoReturn

import duckdb
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from ingest.warehouse import clock, running, storage
from ingest.warehouse.errors import OperatorError

WARNED = "SVOD_WARNED"  # of what was warned, for the programs that this one starts
RUN_ID = "SVOD_RUN_ID"
SLOW_S = 8.0
SAY_EVERY_S = 30.0  # how far something is, where no bar can be shown
LOG_WIDTH = 160  # a log file has no width to fold tables to

console = Console(width=None if sys.stdout.isatty() else LOG_WIDTH)
errors = Console(stderr=True)


@dataclass
class Log:
    """Whether lines begin with the time (UTC) and the run, as those of a program that runs unattended (`is_kept`) do
    that go into a file: who looks on needs neither, and what reads a pipe, as systemd does, keeps a time of its own.
    `is_wanted` is what the operator says of it, if anything."""

    is_kept: bool = False
    is_wanted: bool | None = None

    def is_shown(self, lines: Console) -> bool:
        return self.is_kept and (_is_file(lines) if self.is_wanted is None else self.is_wanted)


log = Log()


def say(text: str) -> None:
    """One plain line on standard output; names of files, tables and companies are no markup."""
    _print(console, text)


def say_aside(text: str) -> None:
    """One plain line on standard error: what belongs to no result."""
    _print(errors, text)


def _print(lines: Console, text: str, style: str | None = None) -> None:
    if log.is_shown(lines):
        now = datetime.fromtimestamp(clock.epoch(), UTC)
        begin = f"{now:%Y-%m-%dT%H:%M:%SZ} {os.environ.get(RUN_ID, '-')} "
        text = "\n".join(f"{begin}{line}" for line in text.split("\n"))
    lines.print(text, markup=False, highlight=False, style=style, soft_wrap=True)


def _is_file(lines: Console) -> bool:
    real = sys.__stderr__ if lines.stderr else sys.__stdout__
    return real is not None and lines.file is real and stat.S_ISREG(os.fstat(real.fileno()).st_mode)


def warn_once(text: str) -> None:
    """One line on standard error, once for a run and all its steps."""
    name, warned = f"{zlib.crc32(text.encode()):08x}", os.environ.get(WARNED, "").split()
    if name not in warned:
        os.environ[WARNED] = " ".join([*warned, name])
        say_aside(f"warning: {text}")


def print_error(error: OperatorError) -> None:
    """The problem as one line, the hint as another, on standard error; between them the details, if it has any."""
    _print(errors, f"error: {error.problem}", "red")
    for line in error.details:
        say_aside(line)
    if error.hint:
        say_aside(f"hint: {error.hint}")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table under its title, times to the second; one line that says "nothing" when there are no rows."""
    table = Table(*columns, show_edge=False)
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    if table.row_count:
        console.print(Text(title, style="italic"), soft_wrap=True)  # a table would fold it to its own width
        console.print(table)
    else:
        console.print(Text(f"{title}: nothing"))
    console.print()


def _cell(value: object) -> str:
    return "" if value is None else str(value)[:19] if isinstance(value, datetime) else str(value)


def progress_bars(*counters: ProgressColumn) -> Progress:
    """Bars, one a task, on a terminal; nothing elsewhere. They show `done/total` and the time unless `counters` say."""
    shown = counters or (MofNCompleteColumn(), TimeElapsedColumn())
    columns = (TextColumn("{task.description}"), BarColumn(), *shown)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def progress_of(
    what: str, total: int | None = None, unit: Literal["records", "bytes"] = "records"
) -> Iterator[Callable[[int], None]]:
    """One bar, or a line every half minute where there is no terminal; what is yielded moves it on by so many records
    or bytes, and `make status` is told."""
    done, said_at = 0, time.monotonic()

    def advance(number: int) -> None:
        nonlocal done, said_at
        done += number
        bars.advance(task, number)
        running.told.progress(what if unit == "records" else f"{what}, bytes", done, total or 0)
        if bars.disable and time.monotonic() - said_at > SAY_EVERY_S:
            said_at = time.monotonic()
            say_aside(f"{what}: {done:,}{f' of {total:,}' if total else ''}{' bytes' if unit == 'bytes' else ''}")

    with progress_bars(*((TaskProgressColumn(), TimeElapsedColumn()) if unit == "bytes" else ())) as bars:
        task = bars.add_task(what, total=total)
        running.told.progress(what, 0, total or 0)
        yield advance


@contextmanager
def said_when_slow(text: str) -> Iterator[None]:
    """Say what is waited for, on standard error, where it takes longer than a person waits in silence."""
    timer = threading.Timer(SLOW_S, say_aside, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def run(app: typer.Typer) -> None:
    """The entry point of a program: an OperatorError, and what the disk or the warehouse's file does not let us do,
    become two lines and an exit status; only an error of ours is a traceback."""
    try:
        app()
    except OperatorError as error:
        end_with(error)
    except (duckdb.Error, OSError) as error:
        if (told := storage.told(error)) is None:
            raise
        end_with(told)


def end_with(error: OperatorError) -> NoReturn:
    """Say what is wrong and end the program."""
    print_error(error)
    sys.exit(error.exit_status)
