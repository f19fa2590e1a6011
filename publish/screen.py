"""What the commands that write to a portal share: the warehouse, and how a person sees how far they are."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

import duckdb
from rich.progress import Progress, TaskID

from ingest.warehouse import journal, running
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.service import Service
from ingest.warehouse.terminal import progress_bars, progress_of, say, say_aside
from publish.settings import Settings

WARN_EVERY_S = 3600.0
MEMORY_LIMIT = "1500MB"  # DuckDB's share; what does not fit goes to its temporary directory


@contextmanager
def warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, held for as long as it is needed: DuckDB's lock is what keeps a second publisher out."""
    with open_warehouse(settings.warehouse) as connection:
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        yield connection


class PushProgress:
    """Shows parts as they are settled: a bar a kind on a terminal, a plain line every ten seconds elsewhere."""

    def __init__(self, bars: Progress, name: str = journal.PUBLISH_PUSH) -> None:
        self._bars, self._name = bars, name
        self._tasks: dict[str, TaskID] = {}
        self._expected: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._said_at = time.monotonic()
        self._waits: dict[str, float] = {}

    def expect(self, entity: str, number: int) -> None:
        if number:
            self._tasks[entity] = self._bars.add_task(entity, total=number)
            self._expected[entity] = number

    def settled(self, entity: str, number: int) -> None:
        self._done[entity] = self._done.get(entity, 0) + number
        if entity in self._tasks:
            self._bars.advance(self._tasks[entity], number)
        done = sum(min(self._done.get(name, 0), total) for name, total in self._expected.items())
        running.told.progress("parts", done, sum(self._expected.values()))
        if self._bars.disable and time.monotonic() - self._said_at > 10:
            self._said_at = time.monotonic()
            say(f"{self._name}: " + ", ".join(f"{name} {count:,}" for name, count in self._done.items()))

    def note(self, text: str) -> None:
        say(f"{self._name}: {text}")

    def pausing(self, text: str) -> None:
        """Each time: it says how often something failed in a row."""
        say(f"{self._name}: {text}")

    def waiting(self, what: str, until: float) -> None:
        if until - self._waits.get(what, 0.0) < 60:  # a long push waits every minute: said once is enough
            return
        self._waits[what] = until
        say(f"{self._name}: waiting for {what} until {datetime.fromtimestamp(until, UTC):%H:%M:%S} UTC")


class QuietScreen:
    """Of steps in a process that stays: what they say is swallowed, but for warnings, as a cycle has a line of its own.
    Wherever something has been committed, the process may end."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._warned_at: dict[str, float] = {}

    def say(self, text: str) -> None:
        """A warning is said again after an hour, if it is still true."""
        now = time.monotonic()
        if text.startswith("warning:") and now - self._warned_at.get(text, -WARN_EVERY_S) >= WARN_EVERY_S:
            self._warned_at[text] = now
            say(text)

    def say_aside(self, text: str) -> None:
        self._service.alive()
        say_aside(text)

    @contextmanager
    def progress_of(
        self, what: str, total: int | None = None, unit: Literal["records", "bytes"] = "records"
    ) -> Iterator[Callable[[int], None]]:
        with progress_of(what, total, unit) as advance:

            def advanced(number: int) -> None:
                advance(number)
                self._service.alive()

            yield advanced


class PushThatMayEnd(PushProgress):
    """Of pushes in a process that stays: one may end wherever an answer has been written into the ledger."""

    def __init__(self, service: Service) -> None:
        super().__init__(progress_bars())
        self._service = service

    def settled(self, entity: str, number: int) -> None:
        super().settled(entity, number)
        self._service.alive()

    def pausing(self, text: str) -> None:
        self._service.alive()
        super().pausing(text)

    def waiting(self, what: str, until: float) -> None:
        self._service.alive()
        super().waiting(what, until)
