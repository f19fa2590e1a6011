"""ops.source_reads: whether each source could be read, when last, and since when it cannot be.

A try is written down before it is made: one that was killed in the middle counts as one that failed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import duckdb

from ingest.warehouse.journal import utc_now


class Failing(NamedTuple):
    """A source whose last try failed, since when (UTC), and why, unless it was killed."""

    source: str
    kind: str
    failing_since: datetime
    problem: str | None


def attempt(connection: duckdb.DuckDBPyConnection, source: str, kind: str) -> None:
    """A source is about to be read, all of it. What has failed since a time that is still to come, as the clock was put
    back, fails from now on: else it would not grow old."""
    connection.execute(
        """insert into ops.source_reads (source, kind, attempted_at, failing_since) values ($1, $2, $3, $3)
           on conflict (source, kind) do update
           set attempted_at = excluded.attempted_at, failing_since = least(failing_since, excluded.failing_since)""",
        [source, kind, utc_now()],
    )
    connection.execute("delete from ops.unset_sources where source = ? and kind = ?", [source, kind])


def settle(connection: duckdb.DuckDBPyConnection, source: str, kind: str, problem: str | None) -> None:
    """It was read, or something of it failed. The text is an OperatorError's: it holds no secret."""
    if problem:
        assignment = "problem = $3"
        values: list[object] = [source, kind, problem]
    else:
        assignment = "read_at = $3, failing_since = null, problem = null"
        values = [source, kind, utc_now()]
    connection.execute(f"update ops.source_reads set {assignment} where source = $1 and kind = $2", values)


def forget_others(connection: duckdb.DuckDBPyConnection, kind: str, sources: Sequence[str]) -> None:
    """Only these sources of a kind are set: one that is no longer read cannot fail. One that was read before is kept in
    ops.unset_sources: a file of settings that was lost looks the same."""
    others = "kind = $1 and source not in (select unnest($2::varchar[]))"
    values: list[object] = [kind, list(sources)]
    connection.execute(
        f"""insert into ops.unset_sources select source, kind, read_at, $3 from ops.source_reads
            where {others} and read_at is not null on conflict do nothing""",
        [*values, utc_now()],
    )
    connection.execute(f"delete from ops.source_reads where {others}", values)


def failing(connection: duckdb.DuckDBPyConnection) -> list[Failing]:
    """The sources whose last try failed, the one that has failed for longest first."""
    rows = connection.execute(
        """select source, kind, failing_since, problem from ops.source_reads
           where failing_since is not null order by failing_since, source, kind"""
    ).fetchall()
    return [Failing(*row) for row in rows]
