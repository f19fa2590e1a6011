"""What `publish follow` does again and again, each part for itself: one that fails pauses, longer from time to time,
and keeps no other from going on. Table ops.follow."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import duckdb

from ingest.warehouse.connection import transaction
from ingest.warehouse.journal import utc_now

FIRST_S, LONGEST_S = 5.0, 300.0  # how long the first pause is, and each that follows many others
ITSELF = "follow"


@dataclass
class Part:
    """A source, the registry, the models or the portal."""

    name: str
    failures: int = 0  # in a row
    problem: str = ""
    since: datetime = field(default_factory=utc_now)  # when it began to work, or to fail
    next_try_at: datetime | None = None
    _paused_until: float = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it may be tried."""
        return time.monotonic() >= self._paused_until

    def failed(self, problem: str) -> float:
        """It did; for how many seconds it pauses now."""
        seconds = min(LONGEST_S, FIRST_S * 2.0 ** min(self.failures, 30))
        if not self.failures:
            self.since = utc_now()
        self.failures, self.problem = self.failures + 1, problem
        self._paused_until = time.monotonic() + seconds
        self.next_try_at = utc_now() + timedelta(seconds=seconds)
        return seconds

    def rest(self, seconds: float) -> None:
        """It has nothing to do for so long."""
        self._paused_until = time.monotonic() + seconds

    def worked(self) -> bool:
        """It did; whether it had failed before."""
        had_failed = self.failures > 0
        if had_failed:
            self.since = utc_now()
        self.failures, self.problem, self.next_try_at, self._paused_until = 0, "", None, 0.0
        return had_failed


def keep(connection: duckdb.DuckDBPyConnection, parts: Iterable[Part], began_at: datetime) -> None:
    """Write down how all of them are, for status and for the next that looks."""
    now = utc_now()
    rows: list[list[object]] = [[ITSELF, "works", began_at, 0, None, None, now]]
    for part in parts:
        state = "paused" if part.failures else "works"
        rows.append([part.name, state, part.since, part.failures, part.next_try_at, part.problem or None, now])
    with transaction(connection):
        connection.execute("delete from ops.follow")
        connection.executemany("insert into ops.follow values (?, ?, ?, ?, ?, ?, ?)", rows)


class Timer:
    """Something that is due now, and again some seconds after it was done."""

    def __init__(self, every_s: float) -> None:
        self._every_s, self._next_at = every_s, 0.0

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._next_at

    def done(self, not_before_s: float = 0.0) -> None:
        """It was; `not_before_s` is how long it is not due at least."""
        self._next_at = time.monotonic() + max(self._every_s, not_before_s)
