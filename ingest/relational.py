"""One table of a relational server: rows above the high-water mark, or all of them, whatever the server's dialect is.

The server is asked for plain columns and sends text; DuckDB turns a batch of columns into one JSON object per row. So
the value that lands is the value the server printed.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingest import raw
from ingest.raw import DeadLetter
from ingest.sources import RelationalSource
from ingest.warehouse import journal
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.variables import known_names_hint, most_alike

PAUSES_S = (1, 2, 4, 8, 15, 30)  # a server restarts within a minute
UNLESS_KNOWN = """not exists (
    from last_version as last where last.source_key = read.source_key and last.digest = md5(read.payload::varchar))"""


@dataclass(frozen=True)
class Column:
    """A column as a dialect describes it."""

    name: str
    declared_type: str  # `int(10) unsigned`, …
    is_key: bool
    is_nullable: bool
    is_time: bool  # a date with a time of day: it can tell when a row changed
    is_whole: bool  # a whole number
    selected: str  # the column in the select list
    lands_as: Literal["text", "json", "bytes"]  # a JSON string; the JSON value that it is; base64
    bytes_of: str  # the bytes of a text that its charset cannot read whole, else null; '': there are none such
    charset: str
    too_large: str  # the size of a value of which only the beginning is selected, else null; '': there are none such
    compared: str  # the text of it that the server makes a checksum of; '': it has none that is everywhere the same

    def json_value(self, batch_column: str) -> str:
        """The DuckDB expression that turns a column of a batch into its JSON value."""
        if self.lands_as == "text":
            return batch_column
        return f"{batch_column}::json" if self.lands_as == "json" else f"to_base64({batch_column})"


class ServerLost(OperatorError):
    """The connection broke off, or the server is not there: it may be, in a while."""


class Server(Protocol):
    """What a dialect has to offer. Its methods raise ServerLost when the server breaks off, else OperatorError."""

    database: str

    def quoted(self, name: str) -> str:
        """A name of a table or column, quoted."""
        ...

    def literal(self, value: str, column: Column) -> str:
        """A value of a payload as the server reads it in a condition on its column."""
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

    def identity(self) -> dict[str, str]:
        """What tells this server from others."""
        ...

    def checksum(self, table: str, compared: Sequence[str], where: str) -> tuple[int, int]:
        """Count of the rows, and the sum of their checksums, which are `ROW_SUM`."""
        ...

    def batches(self, query: str, *, has_large_values: bool) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Rows of a query, some megabytes at a time, all of one consistent picture: values as the server has them."""
        ...

    def reconnect(self) -> None:
        """Log in again."""
        ...


class Batch(NamedTuple):
    """Rows as the server printed them, and values of them that are too large."""

    rows: pa.Table
    dead_letters: list[DeadLetter]


def text_of(original: bytes, charset: str) -> str:
    """A text of a charset of one byte a character; a byte that it lacks is the character of that number."""
    return "".join(bytes([byte]).decode(charset, "ignore") or chr(byte) for byte in original)


class Table:
    """One table of a source: its columns, and its rows in the order of change."""

    def __init__(self, server: Server, source: RelationalSource, name: str) -> None:
        """Look the table up. Raises OperatorError when it is missing, has no primary key or no time of change."""
        self.server, self.source, self.name = server, source, name
        self.place = f"{source.name}.{name}"
        self.columns = server.columns(name, source.charsets)
        self.key = [column for column in self.columns if column.is_key]
        self.changed = self._changed_column()
        self._notes: Counter[str] = Counter()

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

    def raw_name(self, connection: duckdb.DuckDBPyConnection) -> str:
        """The raw table its rows land in, made when it is missing."""
        description = f"Rows of table {self.name}, one per version seen."
        return raw.raw_table(connection, f"{self.source.name}__{self.name}", description)

    def changed_since(self, since: datetime | None) -> str:
        """The condition for rows changed at or after a time, and for those that no time can be told of."""
        if since is None:
            return "true"
        changed = self.server.quoted(self.changed.name)
        untold = f" or {changed} is null" if self.changed.is_nullable else ""
        return f"({changed} >= '{since:%Y-%m-%d %H:%M:%S}' or {changed} < '1000-01-01'{untold})"

    def batches(self, where: str) -> Iterator[Batch]:
        """Yield the rows of a condition in the order of (change time, key). Columns are named c0, c1, …"""
        quoted, columns = self.server.quoted, self.columns
        bytes_of = [(number, column) for number, column in enumerate(columns) if column.bytes_of]
        too_large = [(number, column) for number, column in enumerate(columns) if column.too_large]
        selected = [column.selected for column in columns]
        selected += [column.bytes_of for _, column in bytes_of] + [column.too_large for _, column in too_large]
        order = ", ".join(quoted(column.name) for column in [self.changed, *self.key])
        query = f"select {', '.join(selected)} from {quoted(self.name)} where {where} order by {order}"
        types = [pa.binary() if column.lands_as == "bytes" else pa.string() for column in columns]
        names = [f"c{number}" for number in range(len(types))]
        for rows in self.server.batches(query, has_large_values=bool(too_large)):
            (*values,) = zip(*rows, strict=True)
            checks = iter(values[len(columns) :])
            for number, column in bytes_of:
                if any(originals := next(checks)):
                    self._notes[
                        f"texts of {column.name} with bytes that {column.charset} lacks, landed as they are"
                    ] += len(originals) - originals.count(None)
                    values[number] = tuple(
                        sent if original is None else text_of(original, column.charset)
                        for sent, original in zip(values[number], originals, strict=True)
                    )
            letters = []
            for (_, column), sizes in zip(too_large, checks, strict=True):
                for row, size in zip(rows, sizes, strict=True) if any(sizes) else ():
                    if size:
                        reason = f"{column.name} is too large: its beginning landed"
                        letters.append(DeadLetter(self.place, self._position(row), reason, size + b" bytes"))
            arrays = [pa.array(*pair) for pair in zip(values[: len(types)], types, strict=True)]
            yield Batch(pa.table(arrays, names), letters)

    def _position(self, row: Sequence[Any]) -> str:
        """Where a row is, as `records_query` writes it."""
        text = {
            c.name: (row[n] or b"").decode(errors="backslashreplace") for n, c in enumerate(self.columns) if c.is_key
        }
        changed = (row[self.columns.index(self.changed)] or b"").decode()
        return f"{self.name}/{','.join(text)}={','.join(text.values())}@{changed}"

    def reached(self, batch: pa.Table) -> str | None:
        """The newest change time in a batch, as the server printed it; None when it has none that is a date."""
        newest: str | None = batch.column(self.columns.index(self.changed))[-1].as_py()
        try:
            datetime.fromisoformat(newest or "")
        except ValueError:
            return None
        return newest

    def note_future(self, batch: pa.Table, now: str) -> None:
        """Count the rows that are dated after `now`."""
        column = batch.column(self.columns.index(self.changed))
        if count := pc.sum(pc.greater(column, now)).as_py():
            self._notes["rows dated in the future, read again every time"] += count

    def notes(self) -> list[str]:
        """What was odd about the rows read so far."""
        return [f"{self.place}: {count} {what}" for what, count in self._notes.items()]

    def records_query(self) -> str:
        """The DuckDB query that makes payload, source_key, source_at and source_position of a batch."""
        of_batch = {column.name: f"c{number}" for number, column in enumerate(self.columns)}
        members = ", ".join(f"{sql_text(c.name)}, {c.json_value(of_batch[c.name])}" for c in self.columns)
        # ('1,2', '3') is not ('1', '2,3')
        escaped = r"replace(replace({}, '\', '\\'), ',', '\,')" if len(self.key) > 1 else "{}"
        forms = [escaped if column.lands_as == "text" else "{}" for column in self.key]
        parts = [form.format(f"{of_batch[column.name]}::varchar") for form, column in zip(forms, self.key, strict=True)]
        key = " || ',' || ".join(parts)
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
    on_wait: Callable[[str], None] = lambda said: None,
    is_patient: bool = True,
) -> tuple[int, int]:
    """Append new and changed rows to raw.<source>__<table>; return (rows read, rows landed).

    A full run, and the first one, reads what changed since `since` (all if None). An increment reads from the
    high-water mark minus the source's overlap: rows of one second, and rows of a transaction that was committed late,
    come after rows that are newer. Of what is read only rows that differ from their last landed version are appended,
    so nothing lands twice. Each batch commits with its high-water mark; that never passes the server's clock, so that a
    row dated in the future does not hide the rows before it. When the server is lost, reading goes on from the last
    batch, after pauses that `on_wait` is told of; at once it is given up unless `is_patient`.
    """
    raw_name = table.raw_name(connection)
    mark = journal.watermark(connection, table.place)
    overlap = timedelta(minutes=table.source.overlap_minutes)
    start = since if is_full or mark is None else datetime.fromisoformat(mark) - overlap
    read = landed = 0
    pauses = Pauses(on_wait, is_patient=is_patient)
    while True:
        try:
            ceiling = table.server.now()
            read_last_versions(
                connection,
                raw_name,
                "source_at is null or source_at >= ? or ?",
                [start or datetime.min, start is None],
            )
            for batch in raw.read_ahead(table.batches(table.changed_since(start))):
                rows = batch.rows
                with transaction(connection):
                    landed_now = land_rows(connection, table, raw_name, batch, step)
                    reached = table.reached(rows)
                    if reached is not None:
                        mark = max(mark or "", min(reached, ceiling))
                        journal.set_watermark(connection, table.place, mark, step.run_id)
                        start = datetime.fromisoformat(reached)
                if reached and reached > ceiling:
                    table.note_future(rows, ceiling)
                read, landed = read + len(rows), landed + landed_now
                on_progress(len(rows))
                pauses.forget()
            return read, landed
        except ServerLost as error:
            pauses.wait(error, table)


class Pauses:
    """Growing pauses between tries to reach a server again."""

    def __init__(self, on_wait: Callable[[str], None], *, is_patient: bool = True) -> None:
        self._on_wait, self._number = on_wait, 0
        self._pauses_s = PAUSES_S if is_patient else ()

    def forget(self) -> None:
        """Something was read: the next loss is a new one."""
        self._number = 0

    def wait(self, error: ServerLost, table: Table) -> None:
        """Pause and log in again, as often as it takes. Raises the error when it was tried often enough."""
        while True:
            if self._number == len(self._pauses_s):
                raise error
            seconds = self._pauses_s[self._number]
            self._number += 1
            self._on_wait(f"{table.place}: {error.problem}: goes on in {seconds} s, from the last row landed")
            time.sleep(seconds)
            try:
                table.server.reconnect()
                return
            except ServerLost as again:
                error = again


def land_rows(
    connection: duckdb.DuckDBPyConnection, table: Table, raw_name: str, batch: Batch, step: journal.Step
) -> int:
    """Append those rows of a batch that differ from temp table `last_version`; return their number."""
    has_versions = connection.execute("from last_version limit 1").fetchall()
    unless_known = UNLESS_KNOWN if has_versions else "true"  # a first read need not hash its rows
    landed = raw.append_selected(
        connection, raw_name, batch.rows, table.records_query(), step.run_id, unless_known=unless_known
    )
    raw.append_dead_letters(connection, batch.dead_letters, step.run_id)
    step.rows_in, step.rows_out = step.rows_in + len(batch.rows), step.rows_out + landed
    return landed


def read_last_versions(
    connection: duckdb.DuckDBPyConnection, raw_name: str, where: str, values: Sequence[object] = ()
) -> None:
    """Make temp table `last_version`: keys that may be read again, a digest of what landed last, '' where that went."""
    connection.execute(
        f"""create or replace temp table last_version as
            select source_key, arg_max(coalesce(md5(payload::varchar), ''), rowid) as digest from {raw_name}
            where {where} group by source_key""",
        values,
    )
