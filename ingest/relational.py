"""One table of a relational server: rows above the high-water mark, or all of them, whatever the server's dialect is.

The server is asked for plain columns and sends text; DuckDB turns a batch of columns into one JSON object per row. So
the value that lands is the value the server printed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

import duckdb
import pyarrow as pa

from ingest import raw
from ingest.sources import RelationalSource
from ingest.warehouse import journal
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.variables import known_names_hint, most_alike


@dataclass(frozen=True)
class Column:
    """A column as a dialect describes it."""

    name: str
    declared_type: str  # `int(10) unsigned`, …
    is_key: bool
    is_nullable: bool
    is_time: bool  # a date with a time of day: it can tell when a row changed
    selected: str  # the column in the select list
    lands_as: Literal["text", "json", "bytes"]  # a JSON string; the JSON value that it is; base64

    def json_value(self, batch_column: str) -> str:
        """The DuckDB expression that turns a column of a batch into its JSON value."""
        if self.lands_as == "text":
            return batch_column
        return f"{batch_column}::json" if self.lands_as == "json" else f"to_base64({batch_column})"


class Server(Protocol):
    """What a dialect has to offer. Its methods raise OperatorError when the server breaks off."""

    database: str

    def quoted(self, name: str) -> str:
        """A name of a table or column, quoted."""
        ...

    def columns(self, table: str, charsets: dict[str, str]) -> list[Column]:
        """The columns of a table in their order, none when there is no such table. `charsets` is what the bytes of a
        table (`clients`) or a column (`clients.name`) really are, where the declaration is wrong."""
        ...

    def tables(self) -> list[str]:
        """The names of the tables that can be read."""
        ...

    def now(self) -> str:
        """The server's local time to the second, in the form that it prints times of change in."""
        ...

    def batches(self, query: str) -> Iterator[Sequence[tuple[bytes | str | None, ...]]]:
        """Rows of a query, thousands at a time, all of one consistent picture: values as the server prints them."""
        ...


class Table:
    """One table of a source: its columns, and its rows in the order of change."""

    def __init__(self, server: Server, source: RelationalSource, name: str) -> None:
        """Look the table up. Raises OperatorError when it is missing, has no primary key or no time of change."""
        self.server, self.source, self.name = server, source, name
        self.place = f"{source.name}.{name}"
        self.columns = server.columns(name, source.charsets)
        self.key = [column for column in self.columns if column.is_key]
        self.changed = self._changed_column()

    def _changed_column(self) -> Column:
        place = f"table {self.server.database}.{self.name}"
        if not self.columns:
            alike = most_alike(self.name, self.server.tables())
            meant = f": did you mean {alike}?" if alike else ""
            hint = f"check {self.source.variable('tables')} and the grants{meant}"
            raise OperatorError(f"{place} does not exist or is not readable", hint=hint)
        if not self.key:
            raise OperatorError(f"{place} has no primary key", hint="rows without a key cannot be told apart; add one")
        by_name = {column.name: column for column in self.columns}
        for entry in self.source.charsets:
            table, _, column = entry.partition(".")
            if table == self.name and column and column not in by_name:
                hint = f"check {self.source.variable('charsets')}: {known_names_hint(column, by_name)}"
                raise OperatorError(f"{place} has no column {column}", hint=hint)
        wanted = self.source.changed_column
        hint = f"name the column that holds the time of change in {self.source.variable('changed_column')}"
        if wanted not in by_name:
            times = [column.name for column in self.columns if column.is_time]
            raise OperatorError(f"{place} has no column {wanted}", hint=f"{hint}: {known_names_hint(wanted, times)}")
        changed = by_name[wanted]
        if not changed.is_time:
            problem = f"{place}: {wanted} is {changed.declared_type}, not a DATETIME or TIMESTAMP"
            raise OperatorError(problem, hint=hint)
        return changed

    def batches(self, changed_since: datetime | None) -> Iterator[pa.Table]:
        """Yield the rows changed at or after `changed_since` (all rows if None), in the order of (change time, key).

        Columns are named c0, c1, …
        """
        quoted, changed = self.server.quoted, self.server.quoted(self.changed.name)
        query = f"select {', '.join(column.selected for column in self.columns)} from {quoted(self.name)}"
        if changed_since is not None:
            query += f" where {changed} >= '{changed_since:%Y-%m-%d %H:%M:%S}'"
            if self.changed.is_nullable:
                query += f" or {changed} is null"
        query += f" order by {', '.join([changed, *(quoted(column.name) for column in self.key)])}"
        types = [pa.binary() if column.lands_as == "bytes" else pa.string() for column in self.columns]
        names = [f"c{number}" for number in range(len(types))]
        for rows in self.server.batches(query):
            columns = zip(zip(*rows, strict=True), types, strict=True)
            yield pa.table([pa.array(values, of_type) for values, of_type in columns], names)

    def reached(self, batch: pa.Table) -> str | None:
        """The newest change time in a batch, as the server printed it; None when it has none that is a date."""
        newest: str | None = batch.column(self.columns.index(self.changed))[-1].as_py()
        return newest if newest and not newest.startswith("0000") else None

    def records_query(self) -> str:
        """The DuckDB query that makes payload, source_key, source_at and source_position of a batch."""
        of_batch = {column.name: f"c{number}" for number, column in enumerate(self.columns)}
        members = ", ".join(f"{sql_text(c.name)}, {c.json_value(of_batch[c.name])}" for c in self.columns)
        key = " || ',' || ".join(f"{of_batch[column.name]}::varchar" for column in self.key)
        changed = of_batch[self.changed.name]
        prefix = sql_text(f"{self.name}/{','.join(column.name for column in self.key)}=")
        return f"""select json_object({members}) as payload, {key} as source_key,
            try_cast({changed} as timestamp) as source_at,
            {prefix} || {key} || '@' || coalesce({changed}, '') as source_position from batch"""


def sql_text(text: str) -> str:
    """A text literal for DuckDB."""
    return "'" + text.replace("'", "''") + "'"


def land_table(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    step: journal.Step,
    *,
    since: datetime | None,
    is_full: bool,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> tuple[int, int]:
    """Append new and changed rows to raw.<source>__<table>; return (rows read, rows landed).

    A full run, and the first one, reads what changed since `since` (all if None). An increment reads from the
    high-water mark minus the source's overlap: rows of one second, and rows of a transaction that was committed late,
    come after rows that are newer. Of what is read only rows that differ from their last landed version are appended,
    so nothing lands twice. Each batch commits with its high-water mark; that never passes the server's clock, so that a
    row dated in the future does not hide the rows before it.
    """
    raw_name = raw.raw_table(
        connection, f"{table.source.name}__{table.name}", f"Rows of table {table.name}, one per version seen."
    )
    mark = journal.watermark(connection, table.place)
    overlap = timedelta(minutes=table.source.overlap_minutes)
    start = since if is_full or mark is None else datetime.fromisoformat(mark) - overlap
    ceiling = table.server.now()
    select = table.records_query()
    unless_known = "true"
    if _read_last_versions(connection, raw_name, start):
        unless_known = """not exists (
            from last_version as last
            where last.source_key = read.source_key and last.digest = md5(read.payload::varchar))"""
    read = landed = 0
    for batch in raw.read_ahead(table.batches(start)):
        with transaction(connection):
            landed_now = raw.append_selected(
                connection, raw_name, batch, select, step.run_id, unless_known=unless_known
            )
            reached = table.reached(batch)
            if reached is not None:
                mark = max(mark or "", min(reached, ceiling))
                journal.set_watermark(connection, table.place, mark, step.run_id)
        read, landed = read + batch.num_rows, landed + landed_now
        step.rows_in, step.rows_out = step.rows_in + batch.num_rows, step.rows_out + landed_now
        on_progress(batch.num_rows)
    return read, landed


def _read_last_versions(connection: duckdb.DuckDBPyConnection, raw_name: str, start: datetime | None) -> bool:
    """Make temp table `last_version` of the keys that may be read again, with a digest of what was landed last; answer
    whether there are any."""
    connection.execute(
        f"""create or replace temp table last_version as
            select source_key, arg_max(md5(payload::varchar), rowid) as digest from {raw_name}
            where source_at is null or source_at >= ? or ? group by source_key""",
        [start or datetime.min, start is None],
    )
    return bool(connection.execute("from last_version limit 1").fetchall())
