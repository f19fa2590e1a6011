"""The envelope every raw table has, and the set-based appends every ingester lands its rows with."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple, cast

import duckdb
import pyarrow as pa

from ingest.warehouse.forgotten import Memory
from ingest.warehouse.journal import utc_now

END = object()


class RawRecord(NamedTuple):
    """One row, document or message as it came."""

    payload: bytes | str | None  # JSON text, UTF-8; None for a Kafka tombstone
    source_key: str | None
    source_at: datetime | None  # the source's own time of change, unconverted
    source_position: str


class DeadLetter(NamedTuple):
    """Input that could not be landed: where it was, why, and its bytes."""

    source: str
    source_position: str
    reason: str
    payload: bytes | None


RECORDS = pa.schema(
    [
        ("payload", pa.string()),
        ("source_key", pa.string()),
        ("source_at", pa.timestamp("us")),
        ("source_position", pa.string()),
    ]
)
DEAD_LETTERS = pa.schema(
    [("source", pa.string()), ("source_position", pa.string()), ("reason", pa.string()), ("payload", pa.binary())]
)


def raw_table(connection: duckdb.DuckDBPyConnection, name: str, description: str) -> str:
    """Create raw.<name> in the shape of raw.envelope when it is missing; return its quoted, qualified name."""
    table = f'raw."{name}"'
    ((envelope,),) = connection.execute(
        """select sql from duckdb_tables()
           where database_name = current_database() and schema_name = 'raw' and table_name = 'envelope'"""
    ).fetchall()
    connection.execute(envelope.replace("CREATE TABLE raw.envelope", f"create table if not exists {table}", 1))
    connection.execute(f"comment on table {table} is '{description.replace(chr(39), chr(39) * 2)}'")
    return table


@contextmanager
def visible(connection: duckdb.DuckDBPyConnection, name: str, batch: pa.Table) -> Iterator[None]:
    """Let SQL read an Arrow table under `name` for a while."""
    connection.register(name, batch)
    try:
        yield
    finally:
        connection.unregister(name)


def append_selected(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    batch: pa.Table,
    select: str,
    run_id: str,
    *,
    unless_known: str = "true",
) -> int:
    """Append what `select` makes of the Arrow table `batch` to a raw table, in one insert; return the number of rows.

    `select` yields the first four columns of the envelope in their order; of those rows, named `read`, the ones that
    the condition `unless_known` holds for. People who were forgotten are taken out before.
    """
    memory = Memory.of(connection)
    with visible(connection, "batch", batch):
        rows = f"({select}) as read where {unless_known}"
        if memory:
            connection.execute(f"create or replace temp table landing as from {rows}")
            is_changed = memory.scrub("temp.landing", table_name(table))
            rows = f"temp.landing as read where {unless_known if is_changed else 'true'}"
        ((count,),) = connection.execute(
            f"insert into {table} select read.*, ?, ?::timestamp from {rows}", [run_id, _landed_at(connection, table)]
        ).fetchall()
    return int(count)


def _landed_at(connection: duckdb.DuckDBPyConnection, table: str) -> datetime:
    """The present, but after all that landed before, whatever the clock has been put back to: of two versions that the
    source gives one time, the models take the one that landed last."""
    ((at,),) = connection.execute(
        f"select greatest(?::timestamp, max(ingested_at) + interval 1 microsecond) from {table}", [utc_now()]
    ).fetchall()
    return cast(datetime, at)


def table_name(table: str) -> str:
    """The name of a raw table as `raw_table` quotes it, without its schema."""
    return table.removeprefix("raw.").strip('"')


def as_batch(records: Sequence[RawRecord], is_own_json: bool = False) -> pa.Table:
    """Records as the columns of an Arrow table; payloads of our own making as `arrow.json`, which DuckDB trusts."""
    payloads, *others = zip(*records, strict=True)
    if is_own_json:
        payload = pa.ExtensionArray.from_storage(pa.json_(), pa.array(payloads, pa.binary()).view(pa.string()))
    else:
        payload = pa.array(payloads, RECORDS.field(0).type)
    columns = zip(others, list(RECORDS)[1:], strict=True)
    return pa.table([payload, *(pa.array(column, field.type) for column, field in columns)], RECORDS.names)


def append(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    records: Sequence[RawRecord],
    run_id: str,
    *,
    is_own_json: bool = False,
) -> int:
    """Append records to a raw table in one insert; return their number.

    `is_own_json` says that this program's encoder made the payloads: they are not parsed once more to be sure.
    """
    if not records:
        return 0
    return append_selected(connection, table, as_batch(records, is_own_json), "select * from batch", run_id)


def positions_of_bad_json(connection: duckdb.DuckDBPyConnection, batch: pa.Table) -> set[str]:
    """Source positions of payloads that DuckDB cannot read as JSON, such as one with half a surrogate pair."""
    with visible(connection, "batch", batch):
        invalid = connection.execute("select source_position from batch where not json_valid(payload)").fetchall()
    return {position for (position,) in invalid}


def append_dead_letters(connection: duckdb.DuckDBPyConnection, letters: Sequence[DeadLetter], run_id: str) -> None:
    """Keep refused input in raw.dead_letters; what is there already (place, reason and bytes) is not repeated."""
    if not letters:
        return
    columns = [
        pa.array(column, field.type) for column, field in zip(zip(*letters, strict=True), DEAD_LETTERS, strict=True)
    ]
    with visible(connection, "letters", pa.table(columns, DEAD_LETTERS)):
        connection.execute("create or replace temp table new_letters as from letters")
    if memory := Memory.of(connection):
        memory.scrub_bytes("temp.new_letters")
    connection.execute(
        """insert into raw.dead_letters
           select source, source_position, reason, payload, ?, ?::timestamp from temp.new_letters
           where not exists (
               from raw.dead_letters as kept
               where kept.source = new_letters.source and kept.source_position = new_letters.source_position
                   and kept.reason = new_letters.reason and kept.payload is not distinct from new_letters.payload)""",
        [run_id, utc_now()],
    )


def read_ahead(batches: Iterable[Any]) -> Iterator[Any]:
    """Make the next batch in a thread while the caller lands this one: DuckDB lets go of the GIL as it inserts."""
    iterator = iter(batches)
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        upcoming = pool.submit(next, iterator, END)
        while (batch := upcoming.result()) is not END:
            upcoming = pool.submit(next, iterator, END)
            yield batch
