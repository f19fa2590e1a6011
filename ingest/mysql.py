"""The dialect of MySQL and MariaDB: logging in, columns and their types, quoting, errors.

DECIMAL and temporal types come as strings (also `0000-00-00`), whole and floating numbers as JSON numbers, binary
columns in base64, NULL as null. TIMESTAMP columns come in the server's time zone.
"""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from ingest.relational import Column
from ingest.sources import MySQLSource
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.terminal import said_when_slow

BATCH_ROWS = 20_000
READ_TIMEOUT_S = 600
NUMBERS = {"tinyint", "smallint", "mediumint", "int", "integer", "bigint", "float", "double", "bit", "json"}
TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"}
BYTES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"}
SHAPES = {"geometry", "point", "linestring", "polygon", "geometrycollection", "geomcollection"}
SHAPES |= {"multipoint", "multilinestring", "multipolygon"}


class MySQLServer:
    """An open connection to one database: what `ingest.relational` needs of a server."""

    def __init__(self, connection: "pymysql.Connection[SSCursor]", database: str, place: str) -> None:
        self.connection, self.database = connection, database
        self._wait = f"{place}: waiting for rows, {READ_TIMEOUT_S} s at the most"

    def quoted(self, name: str) -> str:
        """A name quoted for MySQL."""
        return "`" + name.replace("`", "``") + "`"

    def columns(self, table: str, charsets: dict[str, str]) -> list[Column]:
        """The columns as information_schema describes them."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                """select column_name, data_type, column_type, is_nullable, column_key
                   from information_schema.columns where table_schema = %s and table_name = %s
                   order by ordinal_position""",
                (self.database, table),
            )
            described = [[(value or b"").decode() for value in row] for row in cursor.fetchall()]
        return [
            self._column(name, data_type.lower(), column_type.lower(), nullable == "YES", key == "PRI", charset)
            for name, data_type, column_type, nullable, key in described
            for charset in [charsets.get(f"{table}.{name}") or charsets.get(table)]
        ]

    def _column(
        self, name: str, data_type: str, column_type: str, is_nullable: bool, is_key: bool, charset: str | None
    ) -> Column:
        selected = self.quoted(name)
        if data_type == "bit" or "zerofill" in column_type:
            selected += " + 0"  # a bit is sent as bytes, 00042 is not a JSON number
        elif charset and data_type in TEXTS:
            selected = f"convert(cast({selected} as binary) using {charset})"
        return Column(
            name,
            column_type,
            is_key,
            is_nullable,
            is_time=data_type in {"datetime", "timestamp"},
            selected=selected,
            lands_as="json" if data_type in NUMBERS else "bytes" if data_type in BYTES | SHAPES else "text",
        )

    def tables(self) -> list[str]:
        """The tables that information_schema shows to this account."""
        with self.connection.cursor() as cursor:
            cursor.execute("select table_name from information_schema.tables where table_schema = %s", (self.database,))
            return [name.decode() for (name,) in cursor.fetchall()]

    def now(self) -> str:
        """The server's local time to the second."""
        with self.connection.cursor() as cursor:
            cursor.execute("select now()")
            return str(cursor.fetchall()[0][0].decode()[:19])

    def batches(self, query: str) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Rows of one statement, which is one consistent picture, read by a server-side cursor."""
        with self.connection.cursor() as cursor:
            with said_when_slow(self._wait):  # a table that is locked, a sort without an index
                cursor.execute(query)
            try:
                while rows := self._next(cursor):
                    yield rows
            except pymysql.MySQLError:
                # else PyMySQL, closing, reads on from a socket that is gone
                vars(cursor)["_result"].unbuffered_active = False
                raise

    def _next(self, cursor: SSCursor) -> Sequence[tuple[Any, ...]]:
        with said_when_slow(self._wait):
            return cursor.fetchmany(BATCH_ROWS)


@contextmanager
def connect(source: MySQLSource) -> Iterator[MySQLServer]:
    """Log in. Texts come as UTF-8 bytes, every value as the server printed it.

    Raises OperatorError when the server cannot be reached or refuses, now or in the middle of the work.
    """
    address = source.address
    if source.ca_file and not source.ca_file.is_file():
        raise OperatorError(f"there is no file {source.ca_file}", hint=f"check {source.variable('ca_file')}")
    place = f"MySQL {address}"
    try:
        with said_when_slow(f"{place}: waiting for the server to log us in, {READ_TIMEOUT_S} s at the most"):
            connection = pymysql.connect(
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
                read_timeout=READ_TIMEOUT_S,
                ssl=ssl.create_default_context(cafile=source.ca_file) if source.ca_file else None,
            )
    except (pymysql.MySQLError, OSError, RuntimeError, UnicodeError) as error:
        # RuntimeError: the login needs what is not installed; UnicodeError: the host's name is none
        raise mysql_error(error, source) from None
    try:
        yield MySQLServer(connection, address.database, place)
    except pymysql.MySQLError as error:
        raise mysql_error(error, source) from None
    finally:
        connection.close()


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
    return OperatorError(problem, hint=hint)
