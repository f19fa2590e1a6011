"""ops.gaps: messages that were lost before they were read, until a file makes up for them."""

from datetime import datetime

import duckdb

from ingest.warehouse.journal import utc_now


def keep(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    place: str,
    first_offset: int,
    last_offset: int | None,
    reason: str,
    *,
    run_id: str,
) -> None:
    """Write down a gap; call it inside the transaction that moves the offset past it."""
    connection.execute(
        "insert into ops.gaps values (?, ?, ?, ?, ?, ?, ?, null)",
        [source, place, first_offset, last_offset, reason, run_id, utc_now()],
    )


def repair(connection: duckdb.DuckDBPyConnection, source: str, made_at: datetime) -> None:
    """A file of a source has landed whole: it holds what was lost before it was made (UTC)."""
    connection.execute(
        "update ops.gaps set repaired_at = ? where source = ? and noticed_at < ? and repaired_at is null",
        [utc_now(), source, made_at],
    )
