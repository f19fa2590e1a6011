"""MySQL tables land exactly, once, and whatever happens in the middle. Against a real MariaDB server."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import duckdb
import pymysql
import pytest
import trustme

from ingest import mysql, relational
from ingest.sources import MySQLSource
from ingest.warehouse import journal
from ingest.warehouse.environment import read_environment
from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.forgotten import Memory
from ingest.warehouse.journal import Step
from tests.ingest.conftest import Ingest
from tests.servers import MariaDB, mariadb_server

CLIENTS = """create table clients (
    id int unsigned not null auto_increment primary key, name varchar(255), total decimal(14, 2) not null default 0,
    updated_at datetime not null, key (updated_at)) charset=cp1251"""


def source_at(url: str) -> MySQLSource:
    return MySQLSource("shop_a", _env_file=None, url=url)


class Shop:
    """A database of a shop, written by one connection and ingested into a warehouse."""

    def __init__(self, server: MariaDB, database: str, warehouse: duckdb.DuckDBPyConnection, step: Step) -> None:
        self.server, self.database, self.source = server, database, source_at(server.url(database))
        self.connection = server.connect(database)
        self.warehouse, self.step = warehouse, step

    def execute(self, sql: str, *values: object) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)

    def ingest(
        self,
        table: str = "clients",
        *,
        full: bool = False,
        since: datetime | None = None,
        on_progress: Callable[[int], None] = lambda rows: None,
        on_wait: Callable[[str], None] = lambda said: None,
        **declared: object,
    ) -> tuple[int, int]:
        source = self.source.model_copy(update=declared)
        with mysql.connect(source) as server:
            return relational.land_table(
                self.warehouse,
                relational.Table(server, source, table),
                self.step,
                since=since,
                is_full=full,
                on_progress=on_progress,
                on_wait=on_wait,
            )

    def landed(self, table: str = "clients") -> list[dict]:
        rows = self.warehouse.execute(f"select payload from raw.shop_a__{table} order by rowid").fetchall()
        return [json.loads(payload) for (payload,) in rows]

    def mark(self, table: str = "clients") -> str | None:
        return journal.watermark(self.warehouse, f"shop_a.{table}")


@pytest.fixture
def shop(mariadb: MariaDB, database: str, warehouse: duckdb.DuckDBPyConnection, step: Step) -> Iterator[Shop]:
    shop = Shop(mariadb, database, warehouse, step)
    yield shop
    shop.connection.close()


def test_every_type_lands_as_the_server_prints_it(shop):
    shop.execute(
        """create table kinds (
            id bigint unsigned primary key, small tinyint(1), padded int(5) zerofill, bits bit(10),
            amount decimal(30, 10), ratio double, day date, at datetime(6), clock time, year year, kind enum('а', 'б'),
            letters set('x', 'y'),
            text mediumtext character set utf8mb4, bytes varbinary(20), blob_ blob, `odd ``%name"'` int,
            document json, updated_at datetime null) charset=cp1251"""
    )
    shop.execute("set sql_mode = 'ALLOW_INVALID_DATES'")
    shop.execute(
        """insert into kinds values (18446744073709551615, 1, 42, b'1000000001', '12345678901234567890.0123456789', 0.1,
            '0000-00-00', '2026-01-05 10:00:00.000001', '-838:59:59', 2026, 'б', 'x,y', %s, x'00ff', '', 7,
            '{"a": [1, 2.50]}', '2026-01-05 10:00:00')""",
        'Ёлка "«»" \\ \0\x01\n 😀 \u2028',
    )
    shop.execute("insert into kinds (id, updated_at) values (1, null)")
    assert shop.ingest("kinds") == (2, 2)
    nulls, full = shop.landed("kinds")
    assert full == {
        "id": 18446744073709551615,
        "small": 1,
        "padded": 42,
        "bits": 513,
        "amount": "12345678901234567890.0123456789",
        "ratio": 0.1,
        "day": "0000-00-00",
        "at": "2026-01-05 10:00:00.000001",
        "clock": "-838:59:59",
        "year": "2026",
        "kind": "б",
        "letters": "x,y",
        "text": 'Ёлка "«»" \\ \0\x01\n 😀 \u2028',
        "bytes": "AP8=",
        "blob_": "",
        "odd `%name\"'": 7,
        "document": '{"a": [1, 2.50]}',
        "updated_at": "2026-01-05 10:00:00",
    }
    assert set(nulls) == set(full) and {value for name, value in nulls.items() if name != "id"} == {None}


def test_the_envelope_names_row_and_time(shop):
    shop.execute(CLIENTS)
    shop.execute("insert into clients values (123, 'ООО Ромашка', 15320.50, '2026-01-05 10:00:00')")
    shop.ingest()
    row = shop.warehouse.execute("select * exclude ingested_at from raw.shop_a__clients").fetchone()
    assert row == (
        '{"id":123,"name":"ООО Ромашка","total":"15320.50","updated_at":"2026-01-05 10:00:00"}',
        "123",
        datetime(2026, 1, 5, 10),
        "clients/id=123@2026-01-05 10:00:00",
        "run-1",
    )
    assert shop.mark() == "2026-01-05 10:00:00"


def test_a_key_of_several_columns_is_one_source_key(shop):
    shop.execute("create table pairs (a int, b varchar(9), updated_at datetime not null, primary key (a, b))")
    shop.execute("insert into pairs values (1, 'x', '2026-01-01')")
    shop.ingest("pairs")
    assert shop.warehouse.execute("select source_key, source_position from raw.shop_a__pairs").fetchone() == (
        "1,x",
        "pairs/a,b=1,x@2026-01-01 00:00:00",
    )


@pytest.mark.parametrize("setting", ["clients", "clients.name"])
def test_windows_1251_bytes_in_latin1_columns_land_as_what_they_mean(shop, setting):
    shop.execute(CLIENTS.replace("cp1251", "latin1"))
    shop.execute("set names latin1")
    shop.execute(
        b"insert into clients (name, updated_at) values ('" + "ЗАО «Ёж» №7".encode("cp1251") + b"', '2026-01-01')"
    )
    shop.ingest(charsets={setting: "cp1251"})
    assert [client["name"] for client in shop.landed()] == ["ЗАО «Ёж» №7"]


def test_a_full_run_reads_since_the_date_and_a_whole_table_reads_all(shop):
    shop.execute(CLIENTS)
    shop.execute("insert into clients (id, updated_at) values (1, '2024-12-31 23:59:59'), (2, '2025-01-01')")
    assert shop.ingest(since=datetime(2025, 1, 1)) == (1, 1)
    assert shop.ingest(full=True) == (2, 1)
    assert [client["id"] for client in shop.landed()] == [2, 1]


def test_an_increment_lands_only_what_is_new_in_the_overlap(shop):
    shop.execute(CLIENTS)
    shop.execute("insert into clients (id, name, updated_at) values (1, 'a', '2026-01-05 10:00:00')")
    shop.ingest()
    assert shop.ingest() == (1, 0)
    shop.execute("insert into clients (id, name, updated_at) values (2, 'b', '2026-01-05 10:00:00')")
    shop.execute("insert into clients (id, name, updated_at) values (3, 'c', '2026-01-05 09:59:00')")
    assert shop.ingest() == (3, 2)
    assert [client["id"] for client in shop.landed()] == [1, 3, 2]


def test_a_row_committed_late_is_found(shop, mariadb, database):
    shop.execute(CLIENTS)
    with mariadb.connect(database) as slow, slow.cursor() as cursor:
        slow.begin()
        cursor.execute("insert into clients (id, updated_at) values (1, '2026-01-05 10:00:00')")
        shop.execute("insert into clients (id, updated_at) values (2, '2026-01-05 10:03:00')")
        assert shop.ingest() == (1, 1)
        slow.commit()
    assert shop.ingest() == (2, 1)


def test_a_value_that_goes_back_within_one_second_lands_again(shop):
    shop.execute(CLIENTS)
    shop.execute("insert into clients (id, name, updated_at) values (1, 'a', '2026-01-05 10:00:00')")
    for name in "aba":
        shop.execute("update clients set name = %s where id = 1", name)
        shop.ingest()
    assert [client["name"] for client in shop.landed()] == ["a", "b", "a"]


def test_a_row_dated_in_the_future_hides_no_row_after_it(shop):
    shop.execute(CLIENTS)
    shop.execute("insert into clients (id, updated_at) values (1, now() + interval 1 year)")
    shop.ingest()
    shop.execute("insert into clients (id, updated_at) values (2, now())")
    assert shop.ingest() == (2, 1)


def test_a_table_with_zero_dates_only_has_no_high_water_mark_and_lands_once(shop):
    shop.execute(CLIENTS)
    shop.execute("set sql_mode = ''")
    shop.execute("insert into clients (id, updated_at) values (1, '0000-00-00')")
    assert shop.ingest() == (1, 1)
    assert shop.mark() is None
    assert shop.ingest() == (1, 0)


def test_a_new_column_lands_with_the_rows_read_from_then_on(shop):
    shop.execute(CLIENTS)
    shop.execute("insert into clients (id, updated_at) values (1, '2026-01-01')")
    shop.ingest()
    shop.execute("alter table clients add segment varchar(9) default 'new'")
    shop.execute("insert into clients (id, updated_at) values (2, '2026-01-02')")
    shop.ingest()
    assert [(client["id"], client.get("segment")) for client in shop.landed()] == [(1, None), (1, "new"), (2, "new")]


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ("id int, updated_at datetime", "has no primary key"),
        ("id int primary key", "has no column updated_at"),
        ("id int primary key, updated_at varchar(20)", "not a DATETIME"),
    ],
)
def test_a_table_that_cannot_be_followed_is_refused_by_name(shop, definition, problem):
    shop.execute(f"create table clients ({definition})")
    with pytest.raises(OperatorError, match=problem) as caught:
        shop.ingest()
    assert "clients" in caught.value.problem and caught.value.hint


def test_a_missing_table_is_refused_by_name(shop):
    with pytest.raises(OperatorError, match=r"clients does not exist"):
        shop.ingest()


def test_a_wrong_name_of_a_table_or_a_column_comes_with_the_nearest_right_one(shop):
    shop.execute(CLIENTS)
    for wrong, hint in (
        ({"table": "client"}, "did you mean clients?"),
        ({"changed_column": "updatedat"}, "did you mean updated_at?"),
        ({"charsets": {"clients.nam": "cp1251"}}, "did you mean name?"),
    ):
        with pytest.raises(OperatorError) as caught:
            shop.ingest(**wrong)
        assert caught.value.hint.endswith(hint)


def fill(shop: Shop, rows: int) -> None:
    shop.execute(CLIENTS)
    shop.execute("insert into clients (name, updated_at) select repeat('x', 200), '2026-01-01' + interval seq second "
                 f"from seq_1_to_{rows}")  # fmt: skip


def kill_readers(server: MariaDB, database: str) -> None:
    """Of this database: other tests may be at work on the same server."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "select id from information_schema.processlist where info like 'select `id`%%' and db = %s", [database]
        )
        for (process,) in cursor.fetchall():
            cursor.execute(f"kill {process}")


def landed_once(shop: Shop, rows: int) -> bool:
    counts = shop.warehouse.execute("select count(*), count(distinct source_key) from raw.shop_a__clients").fetchone()
    return counts == (rows, rows)


def test_a_connection_lost_in_the_middle_is_made_anew_and_reading_goes_on(shop, mariadb, monkeypatch):
    monkeypatch.setattr(relational, "PAUSES_S", (0, 0))
    fill(shop, 200_000)
    cuts = iter([True, False, True, True])  # more than the pauses there are in a row: each is followed by rows

    def cut(rows: int) -> None:
        if next(cuts, False):
            kill_readers(mariadb, shop.database)

    said: list[str] = []
    read, landed = shop.ingest(full=True, on_progress=cut, on_wait=said.append)
    assert landed == 200_000 and read < 300_000 and landed_once(shop, 200_000)
    assert len(said) >= 2 and "goes on in 0 s" in said[0]


def test_a_server_that_stays_away_ends_the_step_and_keeps_what_was_landed(shop, mariadb, monkeypatch):
    monkeypatch.setattr(relational, "PAUSES_S", (0, 0, 0))
    fill(shop, 200_000)
    login = mysql.pymysql.connect
    lost: list[int] = []

    def refused(**options: object) -> object:
        if lost:
            raise pymysql.OperationalError(2003, "Can't connect")
        return login(**options)

    def cut(rows: int) -> None:
        if not lost:
            kill_readers(mariadb, shop.database)
        lost.append(rows)

    monkeypatch.setattr(mysql.pymysql, "connect", refused)
    said: list[str] = []
    with pytest.raises(OperatorError, match="Can't connect"):
        shop.ingest(full=True, on_progress=cut, on_wait=said.append)
    assert len(said) == 3 and 0 < shop.step.rows_out < 200_000
    monkeypatch.undo()
    shop.ingest()
    assert landed_once(shop, 200_000)


def test_a_server_that_restarts_is_waited_for(warehouse, step, monkeypatch):
    monkeypatch.setattr(relational, "PAUSES_S", (1, 2, 4, 8, 15))
    with mariadb_server("--innodb-flush-log-at-trx-commit=1") as server:
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("create database shop")
        shop = Shop(server, "shop", warehouse, step)
        fill(shop, 150_000)
        restarts = iter([True])

        def restart(rows: int) -> None:
            if next(restarts, False):
                server.restart()

        said: list[str] = []
        assert shop.ingest(full=True, on_progress=restart, on_wait=said.append)[1] == 150_000
        assert said and landed_once(shop, 150_000)


def test_a_byte_that_the_charset_lacks_lands_as_it_is_and_is_told_of(shop):
    shop.execute(CLIENTS)
    shop.execute("insert into clients values (1, _cp1251 x'c0983f', 0, '2026-01-01'), (2, 'Ёж', 0, '2026-01-01')")
    with mysql.connect(shop.source) as server:
        table = relational.Table(server, shop.source, "clients")
        relational.land_table(shop.warehouse, table, shop.step, since=None, is_full=True)
        assert table.notes() == ["shop_a.clients: 1 texts of name with bytes that cp1251 lacks, landed as they are"]
    assert [client["name"] for client in shop.landed()] == ["А\x98?", "Ёж"]


def test_of_a_value_too_large_the_beginning_lands_and_a_dead_letter_says_so(shop):
    shop.execute("create table notes (id int primary key, text longtext, data longblob, updated_at datetime not null)")
    shop.execute("insert into notes values (1, repeat('я', 600000), repeat('b', 2000000), '2026-01-01 10:00:00'),"
                 "(2, 'short', 'b', '2026-01-01 10:00:01')")  # fmt: skip
    assert shop.ingest("notes") == (2, 2)
    large, small = shop.landed("notes")
    assert (large["text"], len(large["data"])) == ("я" * 1000, 1336) and small["text"] == "short"
    letters = shop.warehouse.execute("select source, source_position, reason, payload from raw.dead_letters").fetchall()
    assert letters == [
        ("shop_a.notes", "notes/id=1@2026-01-01 10:00:00", f"{name} is too large: its beginning landed", size)
        for name, size in (("text", b"1200000 bytes"), ("data", b"2000000 bytes"))
    ]


def test_a_value_too_large_beside_a_key_of_bytes_hides_no_row(shop):
    shop.execute("create table notes (id binary(2) primary key, text longtext, updated_at datetime not null)")
    shop.execute("insert into notes values (x'ff41', repeat('b', 2000000), '2026-01-01'), (x'0000', '', '2026-01-01')")
    assert shop.ingest("notes") == (2, 2)
    ((position,),) = shop.warehouse.execute("select source_position from raw.dead_letters").fetchall()
    assert position == r"notes/id=\xffA@2026-01-01 00:00:00"


def test_batches_are_bounded_by_bytes(shop, monkeypatch):
    monkeypatch.setattr(mysql, "BATCH_BYTES", 1 << 20)
    fill(shop, 20_000)
    sizes: list[int] = []
    shop.ingest(full=True, on_progress=sizes.append)
    assert sum(sizes) == 20_000 and 4 <= len(sizes) <= 6


def test_dates_that_are_none_hide_no_row_and_are_found_by_increments(shop):
    shop.execute(CLIENTS)
    shop.execute("set sql_mode = 'ALLOW_INVALID_DATES'")
    shop.execute("insert into clients (id, updated_at) values (1, '2026-02-01')")
    shop.ingest(since=datetime(2025, 1, 1))
    shop.execute("insert into clients (id, updated_at) values (2, '0000-00-00'), (3, '2026-02-31'), (4, '9999-12-31')")
    assert shop.ingest() == (4, 3)
    assert shop.mark() < "2027"
    shop.execute("insert into clients (id, updated_at) values (5, now())")
    shop.ingest()
    assert {client["id"] for client in shop.landed()} == {1, 2, 3, 4, 5}


def test_columns_that_come_go_and_change_their_type_land(shop):
    shop.execute(CLIENTS)
    shop.execute("insert into clients (id, name, updated_at) values (1, 'a', '2026-01-01')")
    shop.ingest()
    shop.execute("alter table clients drop name, modify total varchar(20), modify id varchar(20), add inn varchar(12)")
    shop.execute("insert into clients values ('x-2', 'n/a', '2026-01-02', '7707083893')")
    shop.ingest()
    assert shop.landed()[-1] == {"id": "x-2", "total": "n/a", "updated_at": "2026-01-02 00:00:00", "inn": "7707083893"}


def test_wrong_password_and_closed_port_are_one_line_without_the_secret(mariadb, database):
    wrong = source_at(f"mysql://root:s3cret-word@{mariadb.host}:{mariadb.port}/{database}")
    closed = source_at(f"mysql://root:s3cret-word@127.0.0.1:1/{database}")
    for source, hint in (wrong, "user and password"), (closed, "host and port"):
        with pytest.raises(OperatorError) as caught, mysql.connect(source):
            pass
        assert hint in caught.value.hint
        assert "s3cret" not in caught.value.problem + caught.value.hint + repr(source)
        assert "\n" not in caught.value.problem


def test_a_killed_full_run_goes_on_and_lands_every_row_once(ingest: Ingest, mariadb, database):
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(CLIENTS)
        cursor.execute(
            "insert into clients (name, updated_at) select concat('Клиент ', seq), "
            "'2026-01-01' + interval (seq * 7919) % 90000 second from seq_1_to_150000"
        )
    ingest.set(shop_a_url=mariadb.url(database), shop_a_tables="clients:whole")
    for _ in range(2):
        assert ingest.run_killed("mysql", committed=6_000_000)
        assert 0 < ingest.query("select count(*) from raw.shop_a__clients")[0][0] < 150_000
    finished = ingest.run("mysql")
    assert finished.returncode == 0, finished.stderr
    assert ingest.query(
        "select count(*), count(distinct source_key), sum(source_key::int) from raw.shop_a__clients"
    ) == [(150_000, 150_000, 150_000 * 150_001 // 2)]
    assert ingest.query("select status from ops.steps order by started_at") == [("failed",), ("failed",), ("done",)]


def test_select_is_all_that_the_account_needs(shop):
    shop.execute(CLIENTS)
    shop.execute("insert into clients (id, updated_at) values (1, '2026-01-01')")
    shop.execute("create user if not exists reader identified by 'r'")
    database = shop.source.address.database
    shop.execute(f"grant select on {database}.* to reader")
    try:
        shop.source = source_at(f"mysql://reader:r@{shop.server.host}:{shop.server.port}/{database}")
        assert shop.ingest() == (1, 1)
    finally:
        shop.execute("drop user reader")
    assert isinstance(shop.connection, pymysql.Connection)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> trustme.CA:
    """A CA of the tests' own; its certificate is in ca.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path_factory.getbasetemp() / "ca.pem"))
    return authority


@pytest.fixture(scope="module")
def server_with_tls(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A MariaDB whose certificate is made out to `localhost`, and not to 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    with mariadb_server(f"--ssl-cert={folder}/cert.pem", f"--ssl-key={folder}/key.pem") as server:
        yield server


def cipher(url: str, ca_file: Path | None) -> str:
    """What the server says of the encryption of a connection; '' for none."""
    source = MySQLSource("shop_a", _env_file=None, url=url, ca_file=ca_file)
    with mysql.connect(source) as server, server.connection.cursor() as cursor:
        cursor.execute("show session status like 'Ssl_cipher'")
        ((_, name),) = cursor.fetchall()
        return name.decode()


def test_a_server_with_a_certificate_for_its_host_name_is_read_encrypted(server_with_tls, tmp_path_factory):
    ca_file = tmp_path_factory.getbasetemp() / "ca.pem"
    assert cipher(server_with_tls.url("mysql").replace("127.0.0.1", "localhost"), ca_file)


def test_a_certificate_for_another_host_or_by_another_authority_is_refused(server_with_tls, tmp_path_factory, tmp_path):
    url = server_with_tls.url("mysql")
    with pytest.raises(OperatorError, match="certificate") as caught:
        cipher(url, tmp_path_factory.getbasetemp() / "ca.pem")
    assert caught.value.hint == "it has to offer TLS, with a certificate for 127.0.0.1 by SVOD_SHOP_A_CA_FILE"
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with pytest.raises(OperatorError, match="certificate"):
        cipher(url.replace("127.0.0.1", "localhost"), tmp_path / "other.pem")


def test_a_server_without_tls_is_refused_where_a_ca_is_set(authority, tmp_path_factory):
    with mariadb_server("--skip-ssl") as server:
        assert cipher(server.url("mysql"), None) == ""
        with pytest.raises(OperatorError, match="SSL is required") as caught:
            cipher(server.url("mysql"), tmp_path_factory.getbasetemp() / "ca.pem")
    assert "SVOD_SHOP_A_CA_FILE" in caught.value.hint


def test_a_ca_file_that_is_not_there_is_named_with_its_setting(tmp_path):
    with pytest.raises(OperatorError, match=r"there is no file .*no\.pem") as caught:
        cipher("mysql://u:p@127.0.0.1:1/d", tmp_path / "no.pem")
    assert "SVOD_SHOP_A_CA_FILE" in caught.value.hint


def test_options_at_the_end_of_an_address_are_refused_for_nobody_would_heed_them():
    with pytest.raises(SettingsError, match="SVOD_SHOP_A_URL is not usable"):
        read_environment(MySQLSource, "SVOD_SHOP_A_", name="shop_a", url="mysql://u:p@h:1/d?ssl_mode=REQUIRED")


def test_rows_of_the_forgotten_do_not_come_back_and_the_rest_of_a_row_lands_once(shop: Shop, monkeypatch, tmp_path):
    monkeypatch.setenv("SVOD_ENV_FILE", os.devnull)
    shop.execute(CLIENTS)
    shop.execute("insert into clients (id, name, updated_at) values (1, 'ООО Ромашка, 8 916 123-45-67', now())")
    shop.execute("insert into clients (id, name, updated_at) values (2, 'ООО Василёк', now())")
    Memory.made(shop.warehouse).remember([("value", "9161234567")], "1")
    assert shop.ingest(full=True) == (2, 2)
    assert [row["name"] for row in shop.landed()] == ["ООО Ромашка, ", "ООО Василёк"]
    assert shop.ingest(full=True) == (2, 0)


@pytest.mark.parametrize(
    "password", ["p@ss:w/rd?#[]", "100%", "50%25", "с пробелом", "пароль", "\\'\"`", "+=&", "пар@ль%2F"]
)
def test_a_password_of_whatever_characters_logs_in_when_it_is_percent_encoded(mariadb: MariaDB, database, password):
    name = f"odd_{abs(hash(password)) % 10**8}"
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(f"create or replace user {name}@'%%' identified by %s", (password,))
        cursor.execute(f"create or replace user {name}@localhost identified by %s", (password,))
        cursor.execute(f"grant select on {database}.* to {name}@'%', {name}@localhost")
    url = f"mysql://{name}:{quote(password, safe='')}@{mariadb.host}:{mariadb.port}/{database}"
    with mysql.connect(source_at(url)) as server:
        assert server.tables() == []


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:s3/cret@host/db",
        "mysql://root:s3@host/cret@host/db",
        "mysql://root:s3@host/cret@host",
        "mysql://root:s3@host/db#cret@host/db",
        "mysql://root:s3#cret@host/db",
        "mysql://root:s3?cret@host/db",
        "mysql://root:s3[cret@host/db",
        "mysql://root:s3cret%ff@host/db",
    ],
)
def test_a_password_that_is_not_encoded_is_refused_where_it_would_be_cut_and_no_part_of_it_is_shown(ingest, url):
    ingest.set(shop_a_url=url)
    ended = ingest.run("mysql")
    assert ended.returncode == 2
    assert "SVOD_SHOP_A_URL is not usable" in ended.stderr and "percent-encoded" in ended.stderr
    assert "s3" not in ended.stderr and "cret" not in ended.stderr


def test_a_table_that_is_locked_is_waited_for_aloud(shop, monkeypatch, capsys):
    monkeypatch.setattr("ingest.warehouse.terminal.SLOW_S", 0.2)
    shop.execute(CLIENTS)
    shop.execute("lock table clients write")
    timer = threading.Timer(0.8, shop.execute, ["unlock tables"])
    timer.start()
    assert shop.ingest() == (0, 0)
    timer.join()
    assert "waiting for rows, 600 s at the most" in capsys.readouterr().err


def test_a_server_that_takes_the_connection_and_keeps_silent_is_waited_for_aloud(monkeypatch, capsys):
    monkeypatch.setattr("ingest.warehouse.terminal.SLOW_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mysql://root:s3cret@127.0.0.1:{silent.getsockname()[1]}/db"
        with pytest.raises(OperatorError, match="MySQL root@"), mysql.connect(source_at(url), timeout_s=1):
            pass
    said = capsys.readouterr().err
    assert "waiting for the server to log us in, 1 s at the most" in said and "s3cret" not in said


def test_a_host_that_can_be_none_is_a_failure_in_a_line(ingest):
    ingest.set(shop_a_url=f"mysql://root:s3cret@{'х' * 70}.рф/db")
    ended = ingest.run("mysql")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: MySQL root@") and len(ended.stderr.splitlines()) == 2
    assert "s3cret" not in ended.stderr
