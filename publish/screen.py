"""What the commands that write to a portal share: the warehouse, and how a person sees how far they are."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import duckdb
from rich.progress import Progress, TaskID

from ingest.warehouse import journal, running
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.terminal import say
from publish.settings import Settings

MEMORY_LIMIT = "1500MB"  # DuckDB's share; what does not fit goes to its temporary directory


@contextmanager
def warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, held for as long as it is needed: DuckDB's lock is what keeps a second publisher out."""
    connection = open_warehouse(settings.warehouse)
    try:
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        yield connection
    finally:
        connection.close()


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
