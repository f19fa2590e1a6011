"""What `ingest status` tells: what ran, how far each source has been read, what was refused, what waits."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import duckdb

from ingest import registry
from ingest.registry_pacing import MARGIN

LAST_STEPS = """
select step,
    if(status = 'done' and detail ->> '$.skipped' is not null and len(json_keys(detail)) = 1, 'skipped', status),
    started_at, round(epoch(coalesce(finished_at, started_at) - started_at), 1), rows_in, rows_out,
    coalesce(
        detail ->> '$.error',
        detail ->> '$.skipped',
        'broken: ' || nullif(array_to_string(detail ->> '$.broken[*]', ', '), ''),
        'see `publish gate`: ' || nullif(array_to_string(detail ->> '$.gates[*].test', ', '), '')
    )
from ops.steps qualify row_number() over (partition by step order by started_at desc) = 1
order by started_at
"""
SOURCES = """
select source, kind, read_at, failing_since, problem from ops.source_reads order by failing_since is null, source, kind
"""
WATERMARKS = "select source, position, updated_at from ops.watermarks order by source"
RECONCILED = """
select source || '.' || table_name, reconciled_at, round(seconds, 1), ranges, rows_read, rows_landed, rows_gone
from ops.reconciliations order by all
"""
GAPS = """
select source, place, first_offset, last_offset, reason, noticed_at from ops.gaps
where repaired_at is null order by noticed_at, source, place
"""
FOLLOW = """
select part, state, since, failures, next_try_at, problem, measured_at from ops.follow order by part <> 'follow', part
"""
LAG = "select source, messages, round(seconds, 1), oldest_at, measured_at from ops.lag order by source"
DEAD_LETTERS = """
select source, reason, count(*), max(ingested_at) from raw.dead_letters group by all order by all
"""
FEW = 100  # answers that tell nothing of a rate
SPARED = """
select count(distinct inn_raw) from intermediate.int_companies__validated
inner join intermediate.int_companies__activity using (record_key)
where not is_inn_missing and not is_inn_valid and not is_deleted and is_in_period
"""
LAST_ASKED = """
select (detail ->> '$.answered')::bigint, (detail ->> '$.a_second')::double, (detail ->> '$.goes_on_at')::timestamp
from ops.steps where step = 'ingest registry' and detail ->> '$.answered' is not null
order by started_at desc limit 1
"""


class StatusTable(NamedTuple):
    """One table of the status."""

    title: str
    columns: list[str]
    rows: list[tuple[Any, ...]]


def status_tables(
    connection: duckdb.DuckDBPyConnection, registry_ttl: timedelta, registry_rate: float
) -> Iterator[StatusTable]:
    """All tables of the status, the last one only once the models have been built and the registry was asked."""
    steps = connection.execute(LAST_STEPS).fetchall()
    columns = ["step", "status", "started (UTC)", "seconds", "in", "out", "why"]
    yield StatusTable("Last run of each step", columns, steps)
    sources = connection.execute(SOURCES).fetchall()
    columns = ["source", "kind", "read whole (UTC)", "fails since (UTC)", "problem"]
    yield StatusTable("Sources", columns, sources)
    marks = connection.execute(WATERMARKS).fetchall()
    brief = [(source, brief_position(position), at) for source, position, at in marks]
    yield StatusTable("Read so far", ["source", "position", "at (UTC)"], brief)
    if compared := connection.execute(RECONCILED).fetchall():
        columns = ["table", "at (UTC)", "seconds", "ranges", "rows read again", "found", "gone"]
        yield StatusTable("Compared with the server", columns, compared)
    if parts := connection.execute(FOLLOW).fetchall():
        columns = ["part", "state", "since (UTC)", "failures", "tried again (UTC)", "problem", "seen (UTC)"]
        yield StatusTable("What `make follow` follows, as it last told", columns, parts)
    if ahead := connection.execute(LAG).fetchall():
        columns = ["source", "messages not landed", "seconds", "oldest event (UTC)", "measured (UTC)"]
        yield StatusTable("Ahead of the portal, by the oldest event that is not there", columns, ahead)
    columns = ["source", "partition", "first offset", "last", "reason", "noticed (UTC)"]
    missing = connection.execute(GAPS).fetchall()
    if missing:
        yield StatusTable("Messages lost before they were read, until a file made later lands", columns, missing)
    refused = connection.execute(DEAD_LETTERS).fetchall()
    title = "Refused input, for the owner of the source (its bytes: `make inspect`, then from raw.dead_letters)"
    yield StatusTable(title, ["source", "reason", "count", "last (UTC)"], refused)
    yield from registry_tables(connection, registry_ttl, registry_rate)


def registry_tables(connection: duckdb.DuckDBPyConnection, ttl: timedelta, rate: float) -> Iterator[StatusTable]:
    """What waits for the registry, when it will be through with that, and what was not asked in vain; nothing before
    the models have been built. `rate`: requests a second that are allowed."""
    try:
        waiting = registry.waiting_inns(connection, ttl)
        ((spared,),) = connection.execute(SPARED).fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        return
    total = sum(count for _, count in waiting)
    facts: list[tuple[str, object]] = [("INNs that wait for a verdict of the registry", total)]
    facts += [(f"  {reason}", count) for reason, count in waiting]
    if total:
        facts.append(("  at this rate all are answered", _answered_by(connection, total, rate)))
    facts.append(("requests saved by the control digits: INNs that cannot be", spared))
    yield StatusTable("The company registry", ["what", "how many"], facts)


def _answered_by(connection: duckdb.DuckDBPyConnection, waiting: int, rate: float) -> str:
    """In words: by the last run's rate, or by a quota that ended it, so many a day."""
    answered, a_second, goes_on_at = connection.execute(LAST_ASKED).fetchone() or (0, None, None)
    if goes_on_at and answered:
        days = -(-waiting // answered) - 1
        return f"{goes_on_at + timedelta(days=days):%Y-%m-%d} UTC, {answered} a day, as many as the quota lets"
    pace = a_second if answered > FEW else rate / MARGIN
    return f"{timedelta(seconds=round(waiting / pace))} after the next run begins, {pace:.1f} a second"


def brief_position(position: str) -> str:
    """A position for reading: a file's state by its count of objects, anything else as it is."""
    if not position.startswith("{"):
        return position
    state = json.loads(position)
    return f"{state['objects']} objects" + ("" if state["is_complete"] else ", not to its end")
