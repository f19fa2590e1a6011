"""One table of a MySQL or MariaDB server: rows above the high-water mark, or all of them.

The server is asked for plain columns and sends text; DuckDB turns a batch of columns into one JSON object per row. So
the value that lands is the value the server printed: DECIMAL and temporal types as strings (also `0000-00-00`), whole
and floating numbers as JSON numbers, binary columns in base64, NULL as null. TIMESTAMP columns come in the server's
time zone.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa
import pymysql
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from ingest import raw
from ingest.settings import MySQLAddress
from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError

BATCH_ROWS = 20_000
AS_WRITTEN = {"tinyint", "smallint", "mediumint", "int", "integer", "bigint", "float", "double", "bit", "json"}
TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"}
BINARIES = {
    "binary",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
    "geometry",
    "point",
    "linestring",
    "polygon",
}
BINARIES |= {"multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection", "vector"}


@dataclass(frozen=True)
class Column:
    """A column as information_schema describes it."""

    name: str
    data_type: str  # `int`, `varchar`, …
    column_type: str  # `int(10) unsigned zerofill`, …
    is_nullable: bool
    is_key: bool

    def selected(self, charset: str | None) -> str:
        """The column in the select list; `charset` is what its bytes really are, where the declaration is wrong."""
        if self.data_type == "bit" or "zerofill" in self.column_type:
            return f"{mysql_name(self.name)} + 0"  # a bit is sent as bytes, 00042 is not a JSON number
        if charset and self.data_type in TEXTS:
            return f"convert(cast({mysql_name(self.name)} as binary) using {charset})"
        return mysql_name(self.name)

    def as_json(self, number: int) -> str:
        """The DuckDB expression that turns the column's text into its JSON value."""
        if self.data_type in AS_WRITTEN:
            return f"c{number}::json"
        return f"to_base64(c{number})" if self.data_type in BINARIES else f"c{number}"


def mysql_name(name: str) -> str:
    """A name quoted for MySQL."""
    return "`" + name.replace("`", "``") + "`"


def sql_text(text: str) -> str:
    """A text literal for DuckDB."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def connect(address: MySQLAddress) -> Iterator[pymysql.Connection]:
    """Log in. Texts come as UTF-8 bytes, every value as the server printed it.

    Raises OperatorError when the server cannot be reached or refuses, now or in the middle of the work.
    """
    try:
        connection = pymysql.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password.get_secret_value(),
            database=address.database,
            charset="utf8mb4",
            use_unicode=False,
            conv=encoders,
            cursorclass=SSCursor,
            connect_timeout=10,
            read_timeout=600,
            ssl=ssl.create_default_context(cafile=address.ca_file) if address.ca_file else None,
        )
    except (pymysql.MySQLError, OSError, RuntimeError) as error:  # RuntimeError: the login needs what is not installed
        raise mysql_error(error, address) from None
    try:
        yield connection
    except pymysql.MySQLError as error:
        raise mysql_error(error, address) from None
    finally:
        connection.close()


def mysql_error(error: Exception, address: MySQLAddress) -> OperatorError:
    """The server's error as one line and a hint. Codes: MariaDB error code reference."""
    code, text = (*error.args, "", "")[:2] if isinstance(error, pymysql.MySQLError) else ("", error)
    hints = {
        1044: f"grant select on {address.database}.* to this account",
        1045: "check user and password in SVOD_SHOP_A_URL",
        1049: "check the database name at the end of SVOD_SHOP_A_URL",
        1115: "check the names of charsets in SVOD_SHOP_A_CHARSETS",
        1142: "grant select on this table to this account",
        2003: "is the server up, and are host and port in SVOD_SHOP_A_URL right?",
        2013: "the server or the network broke off; what was landed stays, run again",
    }
    return OperatorError(
        f"MySQL {address}: {text or error} ({code})", hint=hints.get(code, "see the server's error log")
    )


class SourceTable:
    """One table: its columns, and its rows in the order of change."""

    def __init__(
        self,
        connection: pymysql.Connection,
        address: MySQLAddress,
        name: str,
        changed_column: str,
        charsets: dict[str, str],
    ) -> None:
        """Look the table up. Raises OperatorError when it is missing, has no primary key or no time of change."""
        self.connection, self.name, self.changed_column = connection, name, changed_column
        self.charsets = charsets
        self.columns = self._read_columns(address)
        self.key = [column for column in self.columns if column.is_key]
        place = f"table {address.database}.{name}"
        if not self.columns:
            raise OperatorError(
                f"{place} does not exist or is not readable", hint="check SVOD_SHOP_A_TABLES and the grants"
            )
        if not self.key:
            raise OperatorError(f"{place} has no primary key", hint="rows without a key cannot be told apart; add one")
        names = [column.name for column in self.columns]
        if changed_column not in names:
            raise OperatorError(
                f"{place} has no column {changed_column}",
                hint="name the column that holds the time of change in SVOD_SHOP_A_CHANGED_COLUMN",
            )
        changed = next(column for column in self.columns if column.name == changed_column)
        if changed.data_type not in {"datetime", "timestamp"}:
            raise OperatorError(
                f"{place}: {changed_column} is {changed.column_type}, not a DATETIME or TIMESTAMP",
                hint="name the column that holds the time of change in SVOD_SHOP_A_CHANGED_COLUMN",
            )
        for entry in charsets:
            table, _, column = entry.partition(".")
            if table == name and column and column not in names:
                raise OperatorError(f"{place} has no column {column}", hint="check SVOD_SHOP_A_CHARSETS")

    def _read_columns(self, address: MySQLAddress) -> list[Column]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                """select column_name, data_type, column_type, is_nullable, column_key
                   from information_schema.columns where table_schema = %s and table_name = %s
                   order by ordinal_position""",
                (address.database, self.name),
            )
            rows = [[(value or b"").decode() for value in row] for row in cursor.fetchall()]
        return [
            Column(name, data_type.lower(), column_type.lower(), nullable == "YES", key == "PRI")
            for name, data_type, column_type, nullable, key in rows
        ]

    def server_now(self) -> str:
        """The server's local time, as its text."""
        with self.connection.cursor() as cursor:
            cursor.execute("select now()")
            return cursor.fetchall()[0][0].decode()[:19]

    def batches(self, changed_since: str | None) -> Iterator[pa.Table]:
        """Yield the rows changed at or after `changed_since` (all rows if None), in the order of (change time, key).

        One query, one consistent picture of the table, read by a server-side cursor. Columns are named c0, c1, …
        """
        listed = ", ".join(
            column.selected(self.charsets.get(f"{self.name}.{column.name}") or self.charsets.get(self.name))
            for column in self.columns
        )
        changed = mysql_name(self.changed_column)
        order = ", ".join([changed, *(mysql_name(column.name) for column in self.key)])
        query = f"select {listed} from {mysql_name(self.name)}"
        if changed_since is not None:
            query += f" where {changed} >= %s"
            if next(column for column in self.columns if column.name == self.changed_column).is_nullable:
                query += f" or {changed} is null"
        types = [pa.binary() if column.data_type in BINARIES else pa.string() for column in self.columns]
        names = [f"c{number}" for number in range(len(types))]
        with self.connection.cursor() as cursor:
            cursor.execute(f"{query} order by {order}", (changed_since,) if changed_since is not None else None)
            try:
                while rows := cursor.fetchmany(BATCH_ROWS):
                    columns = zip(zip(*rows, strict=True), types, strict=True)
                    yield pa.table([pa.array(values, of_type) for values, of_type in columns], names)
            except pymysql.MySQLError:
                cursor._result.unbuffered_active = False  # else PyMySQL, closing, reads on from a socket that is gone
                raise

    def reached(self, batch: pa.Table) -> str | None:
        """The newest change time in a batch, as the server printed it; None when it has none that is a date."""
        changed = [column.name for column in self.columns].index(self.changed_column)
        newest = batch.column(changed)[-1].as_py()
        return newest if newest and not newest.startswith("0000") else None

    def envelope(self) -> str:
        """The DuckDB query that makes payload, source_key, source_at, source_position and change text of a batch."""
        number = {column.name: f"c{index}" for index, column in enumerate(self.columns)}
        pairs = ", ".join(f"{sql_text(c.name)}, {c.as_json(index)}" for index, c in enumerate(self.columns))
        key = " || ',' || ".join(f"{number[column.name]}::varchar" for column in self.key)
        changed = number[self.changed_column]
        prefix = sql_text(f"{self.name}/{','.join(column.name for column in self.key)}=")
        return f"""select json_object({pairs}) as payload, {key} as source_key,
            try_cast({changed} as timestamp) as source_at,
            {prefix} || {key} || '@' || coalesce({changed}, '') as source_position from batch"""


def land_table(
    connection: duckdb.DuckDBPyConnection,
    table: SourceTable,
    step: journal.Step,
    *,
    source: str,
    since: datetime | None,
    is_full: bool,
    overlap: timedelta,
    on_progress: Callable[[int], None] = lambda rows: None,
) -> tuple[int, int]:
    """Append new and changed rows to raw.<source>__<table>; return (rows read, rows landed).

    A full run, and the first one, reads what changed since `since` (all if None). An increment reads from the
    high-water mark minus `overlap`: rows of one second, and rows of a transaction that was committed late, come after
    rows that are newer. Of what is read only rows that differ from their last landed version are appended, so nothing
    lands twice. Each batch commits with its high-water mark; that never passes the server's clock, so that a row dated
    in the future does not hide the rows before it.
    """
    raw_name = raw.raw_table(
        connection, f"{source}__{table.name}", f"Rows of table {table.name}, one per version seen."
    )
    place = f"{source}.{table.name}"
    mark = journal.watermark(connection, place)
    start = since if is_full or mark is None else datetime.fromisoformat(mark) - overlap
    ceiling = table.server_now()
    connection.execute(
        f"""create or replace temp table last_version as
            select source_key, arg_max(md5(payload::varchar), rowid) as digest from {raw_name}
            where source_at is null or source_at >= ? or ? group by source_key""",
        [start or datetime.min, start is None],
    )
    (is_anything_landed,) = connection.execute("select count(*) > 0 from last_version").fetchone()
    select = table.envelope()
    if is_anything_landed:
        select = f"""from ({select}) as read where not exists (
            from last_version as last
            where last.source_key = read.source_key and last.digest = md5(read.payload::varchar))"""
    read = landed = 0
    batches = table.batches(f"{start:%Y-%m-%d %H:%M:%S}" if start else None)
    for batch in raw.read_ahead(batches):
        with raw.transaction(connection):
            landed_now = raw.append_selected(connection, raw_name, batch, select, step.run_id)
            reached = table.reached(batch)
            if reached is not None:
                mark = max(mark or "", min(reached, ceiling))
                journal.set_watermark(connection, place, mark, step.run_id)
        read, landed = read + batch.num_rows, landed + landed_now
        step.rows_in, step.rows_out = step.rows_in + batch.num_rows, step.rows_out + landed_now
        on_progress(batch.num_rows)
    return read, landed
