"""The dialect of MySQL and MariaDB: logging in, columns and their types, quoting, errors.

DECIMAL and temporal types come as strings (also `0000-00-00`), whole and floating numbers as JSON numbers, binary
columns in base64, NULL as null. TIMESTAMP columns come in the server's time zone.
"""

import base64
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import pymysql
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from ingest.relational import Column, ServerLost
from ingest.sources import MySQLSource
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.terminal import said_when_slow

READ_TIMEOUT_S = 600
BATCH_ROWS = 20_000
BATCH_BYTES = 8 << 20
CHUNK_ROWS, CHUNK_LARGE_ROWS = 1_000, 4
VALUE_BYTES = 1 << 20  # of a larger value only the beginning lands
BEGINNING = 1_000  # characters
NUMBERS = {"tinyint", "smallint", "mediumint", "int", "integer", "bigint", "float", "double", "bit", "json"}
INEXACT = {"float", "double", "json"}  # printed by each program in its own way: not compared
TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"}
BYTES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"}
LARGE = {"mediumtext", "longtext", "mediumblob", "longblob", "json"}
SHAPES = {"geometry", "point", "linestring", "polygon", "geometrycollection", "geomcollection"}
SHAPES |= {"multipoint", "multilinestring", "multipolygon"}
# Bytes that a charset lacks and a column of it may hold all the same: the server would send "?".
LACKING = {"cp1251": "x'98'"}
LOST = {1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 2003, 2006, 2013, 2055}  # try again
IDENTITY = ("hostname", "port", "server_id", "server_uid", "server_uuid")


class MySQLServer:
    """A connection to one database, which may be made anew: what `ingest.relational` needs of a server."""

    def __init__(
        self,
        login: "Callable[[], pymysql.Connection[SSCursor]]",
        source: MySQLSource,
        timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._login, self._source, self.database = login, source, source.address.database
        place = f"MySQL {source.address}"
        self._wait = f"{place}: waiting for rows, {timeout_s:g} s at the most"
        self._wait_for_login = f"{place}: waiting for the server to log us in, {timeout_s:g} s at the most"
        self._connect()

    def _connect(self) -> None:
        with self._telling(), said_when_slow(self._wait_for_login):
            self.connection = self._login()

    def reconnect(self) -> None:
        """Log in again. Raises ServerLost when the server is not there yet."""
        self.close()
        self._connect()

    def close(self) -> None:
        """Leave the server, if it was not lost."""
        if self.connection.open:
            self.connection.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (pymysql.MySQLError, OSError, RuntimeError, UnicodeError) as error:
            # RuntimeError: the login needs what is not installed; UnicodeError: the host's name is none
            raise mysql_error(error, self._source) from None

    def _rows(self, query: str, *values: str) -> list[tuple[bytes | None, ...]]:
        with self._telling(), said_when_slow(self._wait), self.connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())

    def quoted(self, name: str) -> str:
        """A name quoted for MySQL."""
        return "`" + name.replace("`", "``") + "`"

    def literal(self, value: str, column: Column) -> str:
        """A value of a payload for MySQL: a number, bytes that were in base64, or a text."""
        if column.lands_as == "bytes":
            return f"x'{base64.b64decode(value).hex()}'"
        return value if column.lands_as == "json" else f"_utf8mb4 x'{value.encode().hex()}'"

    def columns(self, table: str, charsets: dict[str, str]) -> list[Column]:
        """The columns as information_schema describes them."""
        rows = self._rows(
            """select column_name, data_type, column_type, is_nullable, column_key, character_set_name
               from information_schema.columns where table_schema = %s and table_name = %s
               order by ordinal_position""",
            self.database,
            table,
        )
        described = [[(value or b"").decode() for value in row] for row in rows]
        return [
            self._column(name, data_type.lower(), column_type.lower(), nullable == "YES", key == "PRI", declared, meant)
            for name, data_type, column_type, nullable, key, declared in described
            for meant in [charsets.get(f"{table}.{name}") or charsets.get(table)]
        ]

    def _column(
        self,
        name: str,
        data_type: str,
        column_type: str,
        is_nullable: bool,
        is_key: bool,
        declared: str,
        meant: str | None,
    ) -> Column:
        quoted = selected = self.quoted(name)
        bytes_of = lacking = too_large = ""
        if data_type == "bit" or "zerofill" in column_type:
            selected += " + 0"  # a bit is sent as bytes, 00042 is not a JSON number
        elif meant and data_type in TEXTS:
            selected = f"convert(cast({selected} as binary) using {meant})"
        if data_type in TEXTS and (lacking := LACKING.get((meant or declared).lower(), "")):
            bytes_of = f"if(instr(cast({quoted} as binary), {lacking}), cast({quoted} as binary), null)"
        if data_type in LARGE:
            beginning = "null" if data_type == "json" else f"left({selected}, {BEGINNING})"
            selected = f"if(octet_length({quoted}) > {VALUE_BYTES}, {beginning}, {selected})"
            too_large = f"if(octet_length({quoted}) > {VALUE_BYTES}, octet_length({quoted}), null)"
        lands_as: Literal["text", "json", "bytes"]
        lands_as = "json" if data_type in NUMBERS else "bytes" if data_type in BYTES | SHAPES else "text"
        compared = "" if data_type in INEXACT | SHAPES else f"hex({selected})" if lands_as == "bytes" else selected
        return Column(
            name,
            column_type,
            is_key,
            is_nullable,
            is_time=data_type in {"datetime", "timestamp"},
            is_whole=data_type.endswith("int"),
            selected=selected,
            lands_as=lands_as,
            bytes_of=bytes_of if not too_large else "",
            charset=(meant or declared).lower(),
            too_large=too_large,
            compared=compared and f"ifnull(convert(cast({compared} as char) using utf8mb4), char(0))",
        )

    def tables(self) -> list[str]:
        """The tables that information_schema shows to this account."""
        rows = self._rows("select table_name from information_schema.tables where table_schema = %s", self.database)
        return [(name or b"").decode() for (name,) in rows]

    def now(self) -> str:
        """The server's local time to the second."""
        ((now,),) = self._rows("select now()")
        return (now or b"").decode()[:19]

    def identity(self) -> dict[str, str]:
        """What tells this server from others."""
        names = ", ".join(f"'{name}'" for name in IDENTITY)
        rows = self._rows(f"show global variables where variable_name in ({names})")
        return {(name or b"").decode(): (value or b"").decode() for name, value in rows}

    def checksum(self, table: str, compared: Sequence[str], where: str) -> tuple[int, int]:
        """How many rows there are, and the sum of 60 bits of each one's MD5 (`relational.ROW_SUM`)."""
        row = f"concat_ws(char(31), {', '.join(compared)})"
        total = f"sum(cast(conv(left(md5({row}), 15), 16, 10) as unsigned))"
        ((count, sum_),) = self._rows(f"select count(*), {total} from {self.quoted(table)} where {where}")
        return int(count or 0), int(sum_ or 0)

    def batches(self, query: str, *, has_large_values: bool) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Rows of one statement, which is one consistent picture, read by a server-side cursor."""
        with self._telling(), self.connection.cursor() as cursor:
            with said_when_slow(self._wait):  # a table that is locked, a sort without an index
                cursor.execute(query)
            try:
                while rows := self._next(cursor, has_large_values):
                    yield rows
            except pymysql.MySQLError:
                # else PyMySQL, closing, reads on from a socket that is gone
                vars(cursor)["_result"].unbuffered_active = False
                raise

    def _next(self, cursor: SSCursor, has_large_values: bool) -> list[tuple[Any, ...]]:
        """The next rows, some megabytes of them: of rows without large values, every twentieth is measured."""
        chunk_rows, sampled = (CHUNK_LARGE_ROWS, 1) if has_large_values else (CHUNK_ROWS, 20)
        rows: list[tuple[Any, ...]] = []
        size = 0
        with said_when_slow(self._wait):
            while size < BATCH_BYTES and len(rows) < BATCH_ROWS and (chunk := cursor.fetchmany(chunk_rows)):
                rows += chunk
                size += sampled * sum(len(value) for row in chunk[::sampled] for value in row if value)
        return rows


@contextmanager
def connect(source: MySQLSource, *, timeout_s: float = READ_TIMEOUT_S) -> Iterator[MySQLServer]:
    """Log in. Texts come as UTF-8 bytes, every value as the server printed it; nothing is waited for longer.

    Raises OperatorError when the server cannot be reached or refuses, now or in the middle of the work.
    """
    address = source.address
    if source.ca_file and not source.ca_file.is_file():
        raise OperatorError(f"there is no file {source.ca_file}", hint=f"check {source.variable('ca_file')}")

    def login() -> "pymysql.Connection[SSCursor]":
        return pymysql.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password.get_secret_value().encode(),  # as a text PyMySQL would send it in Latin 1
            database=address.database,
            charset="utf8mb4",
            use_unicode=False,
            conv=dict[Any, Any](encoders),  # of what is sent; what comes stays as it is
            cursorclass=SSCursor,
            connect_timeout=10,
            read_timeout=timeout_s,
            ssl=ssl.create_default_context(cafile=source.ca_file) if source.ca_file else None,
        )

    server = MySQLServer(login, source, timeout_s)
    try:
        yield server
    finally:
        server.close()


def mysql_error(error: Exception, source: MySQLSource) -> OperatorError:
    """The server's error as one line and a hint. Codes: MariaDB error code reference."""
    code, text = (*error.args, "", "")[:2] if isinstance(error, pymysql.MySQLError) else ("", error)
    url = source.variable("url")
    hints = {
        1044: f"grant select on {source.address.database}.* to this account",
        1045: f"check user and password in {url}",
        1049: f"check the database name at the end of {url}",
        1115: f"check the names of charsets in {source.variable('charsets')}",
        1142: "grant select on this table to this account",
        2003: f"is the server up, and are host and port in {url} right?",
        2013: "the server or the network broke off; what was landed stays, run again",
    }
    problem = f"MySQL {source.address}: {text or error} ({code})"
    hint = hints.get(code, "see the server's error log")
    if source.ca_file and ("SSL" in problem or "certificate" in problem):
        hint = f"it has to offer TLS, with a certificate for {source.address.host} by {source.variable('ca_file')}"
    is_lost = code in LOST or isinstance(error, pymysql.InterfaceError)  # the latter: of a connection that is closed
    return (ServerLost if is_lost else OperatorError)(problem, hint=hint)
