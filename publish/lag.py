"""How far a topic is ahead of the portal: table ops.lag."""

from datetime import datetime

import duckdb

from ingest.warehouse.journal import utc_now


def measure(
    connection: duckdb.DuckDBPyConnection, source: str, messages: int | None, waiting_since: datetime | None
) -> None:
    """Write down the age of the oldest event of a source that is not in the portal.

    `messages` are those that are not landed yet, None when nobody knows; `waiting_since` is when the first was seen.
    """
    now = utc_now()
    kept = connection.execute("select published_through from ops.lag where source = ?", [source]).fetchone()
    published_through = kept[0] if kept else None
    oldest = _oldest_landed(connection, source, published_through)
    if waiting_since and messages:
        oldest = min(oldest or waiting_since, waiting_since)
    seconds = max(0.0, (now - oldest).total_seconds()) if oldest else 0.0
    connection.execute(
        "insert or replace into ops.lag values (?, ?, ?, ?, ?, ?)",
        [source, messages, seconds, oldest, published_through, now],
    )


def published(connection: duckdb.DuckDBPyConnection, source: str, through: datetime | None) -> None:
    """What of a source had landed by then is in the portal, or was refused there."""
    if through:
        connection.execute(
            """insert into ops.lag values ($1, null, 0, null, $2, $3)
               on conflict (source) do update set published_through = excluded.published_through""",
            [source, through, utc_now()],
        )


def _oldest_landed(
    connection: duckdb.DuckDBPyConnection, source: str, published_through: datetime | None
) -> datetime | None:
    """The time of the oldest event that landed after the portal was last brought up to date."""
    try:
        ((oldest,),) = connection.execute(
            f"""select min(coalesce(source_at, ingested_at)) from raw."{source}__events" where ingested_at > ?""",
            [published_through or datetime.min],
        ).fetchall()
    except duckdb.CatalogException:
        return None  # nothing of it has ever landed
    return oldest if isinstance(oldest, datetime) else None
