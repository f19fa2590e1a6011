"""ops.period: where the period begins that the models look at, unless SVOD_SINCE says it.

By default that is 1 January of the year before the one in which the warehouse was made, and there it stays: the turn of
a year changes nothing by itself. It would change the sums of every company and take the older ones out of the marts in
one night, which is for a person to look at, and nobody is there on 1 January. `schema.sql` makes the row.
"""

from datetime import UTC, date, datetime, timedelta, timezone

import duckdb

from ingest.warehouse.journal import utc_now

MOSCOW = timezone(timedelta(hours=3))  # all year since 2014; which year it is has no older answer to give


def in_moscow(moment: datetime) -> datetime:
    """A time of the warehouse, which is UTC, as the clocks of Moscow show it."""
    return moment.replace(tzinfo=UTC).astimezone(MOSCOW)


def start(connection: duckdb.DuckDBPyConnection) -> date:
    """The day on which the period begins, in Moscow."""
    ((starts_on,),) = connection.execute("select starts_on from ops.period").fetchall()
    return date.fromisoformat(str(starts_on))


def start_by_calendar(now: datetime | None = None) -> date:
    """1 January of the previous year: where the period of a warehouse made today begins."""
    return date((now or datetime.now(MOSCOW)).astimezone(MOSCOW).year - 1, 1, 1)


def move(connection: duckdb.DuckDBPyConnection, starts_on: date) -> None:
    """Let the period begin on another day, from the next step on."""
    connection.execute("update ops.period set starts_on = ?, decided_at = ?", [starts_on, utc_now()])
