"""Servers inside this process that speak the sources' own protocols, for a demo on a machine with neither installed.

They are no test of the real servers' behaviour; that is what the tests against MariaDB and Kafka are for.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

import duckdb
from confluent_kafka import Producer
from mysql_mimic import IdentityProvider, MysqlServer, NativePasswordAuthPlugin, ResultColumn, ResultSet, Session, User
from mysql_mimic.errors import ErrorCode, MysqlError
from mysql_mimic.schema import BaseInfoSchema
from mysql_mimic.types import ColumnType
from sqlglot import exp

from .loaders import TABLES, TOPIC, day_folder

DATABASE, USER, PASSWORD = "shop_a", "svod_reader", "read-only"
FETCH_ROWS = 5_000
WIRE_TYPES = {
    "TINYINT": ColumnType.TINY,
    "UINTEGER": ColumnType.LONG,
    "BIGINT": ColumnType.LONGLONG,
    "TIMESTAMP": ColumnType.DATETIME,
    "DECIMAL(14,2)": ColumnType.NEWDECIMAL,
}


class EmbeddedMysql:
    """Shop A's database behind the MySQL protocol, while the `with` block runs: SELECTs only, by one account.

    Queries are transpiled and run in DuckDB, rows go out as they are fetched. Connect to `url`.
    """

    def __init__(self, folder: Path) -> None:
        self._tables = duckdb.connect()
        self._tables.execute(f"create schema {DATABASE}; use {DATABASE}")
        for table in TABLES:
            self._tables.execute(f"create table {table} as from '{folder / 'shop_a' / f'{table}.parquet'}'")
            self._tables.execute(f"alter table {table} add primary key (id)")
        self._describe_columns()
        self._sessions: WeakSet[_ShopASession] = WeakSet()
        self._loop = asyncio.new_event_loop()
        self._server = MysqlServer(self._new_session, identity_provider=_OneAccount())
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def _describe_columns(self) -> None:
        rows = [
            (
                DATABASE,
                table,
                name,
                number,
                declared.split("(")[0].split(" ")[0].lower(),
                declared.split(" NOT NULL")[0].lower(),
                "NO" if "NOT NULL" in declared else "YES",
                "PRI" if "PRIMARY KEY" in declared else "MUL" if name == "updated_at" else "",
                "cp1251" if "CHAR" in declared else None,
            )
            for table, columns in TABLES.items()
            for number, (name, declared) in enumerate(columns.items(), start=1)
        ]
        self._tables.execute(
            """create schema catalogue; create table catalogue.columns (
                table_schema varchar, table_name varchar, column_name varchar, ordinal_position bigint,
                data_type varchar, column_type varchar, is_nullable varchar, column_key varchar,
                character_set_name varchar)"""
        )
        self._tables.executemany("insert into catalogue.columns values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    @property
    def url(self) -> str:
        port = self._server.sockets()[0].getsockname()[1]
        return f"mysql://{USER}:{PASSWORD}@127.0.0.1:{port}/{DATABASE}"

    def apply(self, folder: Path, day: int = 2) -> None:
        """Bring the tables to another day: its rows replace those of the same id, or are new."""
        with self._tables.cursor() as con:
            con.begin()
            for table in TABLES:
                changed = day_folder(folder, day) / "shop_a" / f"{table}.parquet"
                con.execute(f"insert or replace into {DATABASE}.{table} from '{changed}'")
            con.commit()

    def __enter__(self) -> Self:
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(self._server.start_server(host="127.0.0.1", port=0), self._loop)
        started.result(10)
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._tables.close()

    def _new_session(self) -> "_ShopASession":
        session = _ShopASession(self._tables)
        self._sessions.add(session)
        return session

    async def _hang_up(self) -> None:
        """Close the port and every connection a client left open: the loop must not end while one is being served."""
        self._server.close()
        for session in list(self._sessions):
            if connection := getattr(session, "connection", None):  # none before the login and after the goodbye
                connection.kill()
        if served := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(served, timeout=5)


class _OneAccount(IdentityProvider):
    async def get_user(self, username: str) -> User | None:
        if username != USER:
            return None
        secret = NativePasswordAuthPlugin.create_auth_string(PASSWORD)
        return User(name=USER, auth_string=secret, auth_plugin=NativePasswordAuthPlugin.name)


class _ShopASession(Session):
    """One client's connection. What is about the session itself (SET, SHOW VARIABLES, BEGIN) the base class answers."""

    def __init__(self, tables: duckdb.DuckDBPyConnection) -> None:
        super().__init__()
        self._con = tables.cursor()
        self._con.execute(f"use {DATABASE}")

    async def query(self, expression: exp.Expression, sql: str, attrs: dict[str, str]) -> ResultSet:
        if not isinstance(expression, exp.Query):
            raise MysqlError("SELECT command only: the account is read-only", ErrorCode.NOT_SUPPORTED_YET)
        return await asyncio.to_thread(_run, self._con, expression)

    async def schema(self) -> BaseInfoSchema:
        return _Catalogue(self._con)

    async def close(self) -> None:
        await super().close()
        self._con.close()


class _Catalogue(BaseInfoSchema):
    """information_schema.columns, from the tables' declarations."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    async def query(self, expression: exp.Expression) -> ResultSet:
        for table in expression.find_all(exp.Table):
            table.set("db", exp.to_identifier("catalogue"))
        return _run(self._con, expression)


def _run(con: duckdb.DuckDBPyConnection, expression: exp.Expression) -> ResultSet:
    try:
        con.execute(expression.transform(_without_bytes).sql(dialect="duckdb"))
    except duckdb.Error as error:
        raise MysqlError(str(error).splitlines()[0], ErrorCode.PARSE_ERROR) from None
    columns = [ResultColumn(name, WIRE_TYPES.get(str(kind), ColumnType.VARCHAR)) for name, kind, *_ in con.description]
    return ResultSet(_rows(con), columns)


def _without_bytes(node: exp.Expression) -> exp.Expression:
    """Bytes that a charset lacks are asked for by their place in the text; texts here are decoded and have none."""
    return exp.null() if isinstance(node, exp.If) and node.find(exp.StrPosition) else node


async def _rows(con: duckdb.DuckDBPyConnection) -> AsyncIterator[tuple[Any, ...]]:
    while rows := await asyncio.to_thread(con.fetchmany, FETCH_ROWS):
        for row in rows:
            yield row


class EmbeddedKafka:
    """librdkafka's mock cluster of one broker, while the `with` block runs; connect to `bootstrap`.

    It speaks the protocol of Kafka 2.0 as far as clients need it to produce and consume. The topic is there from the
    start, with four partitions of at most 5 MB each: enough for samples up to scale 0.2.
    """

    def __enter__(self) -> Self:
        self._cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 2})
        (broker,) = self._cluster.list_topics(TOPIC, timeout=10).brokers.values()  # asking for a topic makes it
        self.bootstrap = f"{broker.host}:{broker.port}"
        return self

    def __exit__(self, *exc: object) -> None:
        del self._cluster  # the brokers live as long as the client that made them
