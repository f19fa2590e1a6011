"""What `publish follow` told of itself last: whether it works, what of it pauses, how far topics are ahead.

Tables ops.follow and ops.lag. They tell of now only while it was seen alive lately; one that was stopped says nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import duckdb

ALIVE = timedelta(minutes=30)  # a long pass of the models may come between two signs of life
_LONG = timedelta(minutes=15)  # what pauses for so long does not come back by itself


class Lag(NamedTuple):
    """A topic: messages that have not landed (None: nobody knows), the age of the oldest event not in the portal."""

    source: str
    messages: int | None
    seconds: float


class Pause(NamedTuple):
    """A part that fails, since when (UTC), and why."""

    part: str
    since: datetime
    problem: str


@dataclass(frozen=True, slots=True)
class Following:
    """`since` is None where it does not follow."""

    since: datetime | None = None
    pauses: list[Pause] = field(default_factory=list)
    lags: list[Lag] = field(default_factory=list)

    def wrong(self, limit_s: float, now: datetime) -> Iterator[tuple[str, str, str]]:
        """Key, text and what to do of lags above the limit (0: none), and of parts that have failed for long."""
        for lag in self.lags:
            if limit_s and lag.seconds > limit_s:
                text = f"events of {lag.source} wait for {lag.seconds:,.0f} s, {limit_s:g} are let pass"
                yield f"lag:{lag.source}", text, "what of it pauses is in `publish status`, and why"
        for pause in self.pauses:
            if now - pause.since > _LONG and "(" not in pause.part:  # sources are told by ops.source_reads
                yield f"follow:{pause.part}", f"publish follow: {pause.part} fails: {pause.problem}", "it tries again"


def following(connection: duckdb.DuckDBPyConnection, now: datetime) -> Following:
    """What it told, if that is not long ago."""
    rows = connection.execute(
        "select part, state, since, coalesce(problem, '') from ops.follow where measured_at > ?", [now - ALIVE]
    ).fetchall()
    if not rows:
        return Following()
    since = min(at for _, _, at, _ in rows)
    lags = connection.execute(
        "select source, messages, seconds from ops.lag where measured_at > ? order by source", [now - ALIVE]
    ).fetchall()
    pauses = [Pause(part, at, problem) for part, state, at, problem in rows if state == "paused"]
    return Following(since, pauses, [Lag(*lag) for lag in lags])
