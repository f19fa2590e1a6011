"""Rows that no time of change tells of are found by comparing with the server; those that are gone are said to be."""

import json
import os
import random
from collections.abc import Iterator
from datetime import datetime

import duckdb
import pytest

from ingest import mysql, reconciliation, relational
from ingest.reconciliation import Outcome, changes_of
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import Step
from tests.ingest.conftest import Ingest
from tests.ingest.test_mysql import CLIENTS, Shop
from tests.servers import MariaDB

LATE_ROWS = int(os.environ.get("LATE_ROWS", "2400"))  # 50,000 take minutes


class Compared(Shop):
    """A shop whose tables are compared with what is landed of them."""

    def reconcile(self, table: str = "clients", since: datetime | None = None, may_lose_most: bool = False) -> Outcome:
        with mysql.connect(self.source) as server:
            return reconciliation.reconcile(
                self.warehouse,
                relational.Table(server, self.source, table),
                self.step,
                since=since,
                may_lose_most=may_lose_most,
            )

    def current(self, table: str = "clients") -> dict[str, dict | None]:
        """What is landed last of each key; None: it is gone."""
        rows = self.warehouse.execute(
            f"select source_key, arg_max(payload, rowid) from (select rowid, source_key, [payload] as payload "
            f"from raw.shop_a__{table}) group by source_key"
        ).fetchall()
        return {key: payload and json.loads(payload) for key, (payload,) in rows}


@pytest.fixture
def shop(mariadb: MariaDB, database: str, warehouse: duckdb.DuckDBPyConnection, step: Step) -> Iterator[Compared]:
    shop = Compared(mariadb, database, warehouse, step)
    yield shop
    shop.connection.close()


@pytest.fixture
def small_ranges(monkeypatch):
    monkeypatch.setattr(reconciliation, "RANGE_ROWS", 1000)
    monkeypatch.setattr(reconciliation, "READ_ROWS", 50)
    monkeypatch.setattr(reconciliation, "PAUSE_S", 0)


def fill(shop: Shop, rows: int) -> None:
    shop.execute(CLIENTS)
    shop.execute(
        "insert into clients select seq * 7, concat('Ёлка ', seq), seq / 7, '2026-01-01' + interval seq minute "
        f"from seq_1_to_{rows}"
    )


@pytest.mark.usefixtures("small_ranges")
def test_only_ranges_that_differ_are_read_and_all_that_was_missed_is_found(shop):
    fill(shop, 10_000)
    shop.ingest()
    assert shop.reconcile() == Outcome(ranges=11)
    shop.execute("insert into clients values (13, 'late', 1, '2026-01-01'), (2, 'before all', 1, '2026-01-01')")
    shop.execute("update clients set name = 'without a time' where id = 7 * 5000")
    shop.execute("delete from clients where id = 7 * 9999")
    assert shop.ingest()[1] == 0
    outcome = shop.reconcile()
    assert (outcome.rows_landed, outcome.rows_gone) == (3, 1)
    assert outcome.rows_read < 300
    current = shop.current()
    assert current["13"]["name"] == "late" and current["2"]["name"] == "before all"
    assert current["35000"]["name"] == "without a time" and current["69993"] is None
    again = shop.reconcile()
    assert (again.rows_read, again.rows_landed, again.rows_gone) == (0, 0, 0)


@pytest.mark.usefixtures("small_ranges")
def test_a_row_that_comes_back_as_it_was_lands_again(shop):
    fill(shop, 10)
    shop.ingest()
    shop.execute("create table aside as select * from clients where id = 7")
    shop.execute("delete from clients where id = 7")
    assert shop.reconcile().rows_gone == 1 and shop.current()["7"] is None
    assert shop.reconcile() == Outcome(ranges=1)
    shop.execute("insert into clients select * from aside")
    assert shop.reconcile().rows_landed == 1 and shop.current()["7"]["name"] == "Ёлка 1"


@pytest.mark.usefixtures("small_ranges")
def test_values_of_every_kind_compare_as_equal(shop):
    shop.execute(
        """create table kinds (
            id bigint unsigned primary key, small tinyint(1), padded int(5) zerofill, bits bit(10),
            amount decimal(30, 10), ratio double, day date, at datetime(6), clock time, year year, kind enum('а', 'б'),
            letters set('x', 'y'), text mediumtext character set utf8mb4, bytes varbinary(20), blob_ blob,
            `odd ~/%name"'` int, lossy varchar(9), long_ longtext, nothing int, updated_at datetime null
        ) charset=cp1251"""
    )
    shop.execute("set sql_mode = 'ALLOW_INVALID_DATES'")
    shop.execute(
        """insert into kinds values (18446744073709551615, 1, 42, b'1000000001', '12345678901234567890.0123456789', 0.1,
            '0000-00-00', '2026-01-05 10:00:00.000001', '-838:59:59', 2026, 'б', 'x,y', %s, x'00ff', '', 7,
            _cp1251 x'c0983f', repeat('ю', 2000000), null, '2026-01-05 10:00:00')""",
        'Ёлка "«»" \\ \0\x01\n 😀 \u2028',
    )
    shop.execute("insert into kinds (id, updated_at) values (1, null), (2, '0000-00-00')")
    assert shop.ingest("kinds") == (3, 3)
    assert shop.reconcile("kinds") == Outcome(ranges=1)


@pytest.mark.usefixtures("small_ranges")
def test_a_key_of_several_columns_is_compared_as_a_whole(shop):
    shop.execute("create table pairs (a int, b varchar(9), updated_at datetime not null, primary key (a, b))")
    shop.execute("insert into pairs values (1, 'x', '2026-01-01'), (1, 'Y', '2026-01-01'), (2, 'x', '2026-01-01')")
    shop.ingest("pairs")
    shop.execute("delete from pairs where b = 'Y'")
    shop.execute("insert into pairs values (3, 'z', '2020-01-01')")
    outcome = shop.reconcile("pairs")
    assert (outcome.rows_landed, outcome.rows_gone) == (1, 1)
    assert shop.current("pairs")["1,Y"] is None
    assert shop.reconcile("pairs") == Outcome(ranges=1)


@pytest.mark.usefixtures("small_ranges")
def test_what_is_older_than_the_period_is_no_concern(shop):
    shop.execute(CLIENTS)
    shop.execute(
        "insert into clients (id, updated_at) values (1, '2024-12-31 23:59:59'), (2, '2025-01-01'), (3, '2026-01-01')"
    )
    since = datetime(2025, 1, 1)
    shop.ingest(since=since)
    shop.execute("delete from clients where id in (1, 3)")
    assert shop.reconcile(since=since).rows_gone == 1
    assert shop.current().keys() == {"2", "3"} and shop.current()["3"] is None


@pytest.mark.usefixtures("small_ranges")
def test_a_row_whose_time_was_set_back_before_the_period_is_not_gone(shop, monkeypatch):
    monkeypatch.setattr(reconciliation, "ASKED_KEYS", 2)
    since = datetime(2025, 1, 1)
    shop.execute(CLIENTS)
    shop.execute("insert into clients (id, name, updated_at) select seq, 'as it was', '2026-01-01' from seq_1_to_9")
    shop.execute(
        """create table pairs (
            a varchar(9) character set cp1251, b varbinary(16), updated_at datetime not null, primary key (a, b)
        )"""
    )
    shop.execute("insert into pairs values ('Ёж', x'00ff', '2026-01-01'), ('ёж', x'27', '2026-01-01')")
    for table in ("clients", "pairs"):
        shop.ingest(table, since=since)
    shop.execute("update clients set name = 'corrected', updated_at = '2024-01-01' where id <= 5")
    shop.execute("delete from clients where id = 6")
    shop.execute("update pairs set updated_at = '2024-01-01' where b = x'00ff'")
    shop.execute("delete from pairs where b = x'27'")
    outcome = shop.reconcile(since=since)
    assert (outcome.rows_landed, outcome.rows_gone) == (5, 1)
    current = shop.current()
    assert [key for key, row in current.items() if row is None] == ["6"]
    assert {current[str(number)]["name"] for number in range(1, 6)} == {"corrected"}
    outcome = shop.reconcile("pairs", since=since)
    assert (outcome.rows_landed, outcome.rows_gone) == (1, 1)
    assert [key for key, row in shop.current("pairs").items() if row is None] == [r"ёж,\x27"]
    again = shop.reconcile(since=since)
    assert (again.rows_landed, again.rows_gone) == (0, 0)


@pytest.mark.usefixtures("small_ranges")
def test_keys_of_several_texts_are_told_apart_whatever_is_in_them(shop):
    shop.execute("create table pairs (a varchar(9), b varchar(9), updated_at datetime not null, primary key (a, b))")
    shop.execute(r"insert into pairs values ('1,2', '3', '2026-01-01'), ('1', '2,3', '2026-01-01')")
    assert shop.ingest("pairs") == (2, 2)
    assert shop.ingest("pairs") == (2, 0)
    assert shop.reconcile("pairs") == Outcome(ranges=1)


@pytest.mark.usefixtures("small_ranges")
def test_an_emptied_table_marks_nothing_as_gone_unless_somebody_asks_for_it(shop):
    fill(shop, 500)
    shop.ingest()
    shop.execute("delete from clients")
    with pytest.raises(OperatorError, match="500 of 500 rows are gone") as caught:
        shop.reconcile()
    assert "--reconcile" in caught.value.hint and None not in shop.current().values()
    assert shop.reconcile(may_lose_most=True).rows_gone == 500


@pytest.mark.usefixtures("small_ranges")
def test_a_new_column_with_a_default_is_filled_in_for_rows_landed_before(shop):
    fill(shop, 10)
    shop.ingest()
    shop.execute("alter table clients add segment varchar(9) default 'new'")
    shop.execute("alter table clients drop total, modify name varchar(500)")
    assert shop.reconcile().rows_landed == 10
    assert all(row["segment"] == "new" and "total" not in row for row in shop.current().values())


@pytest.mark.usefixtures("small_ranges")
def test_after_late_commits_deletions_and_silent_changes_one_comparison_makes_all_equal(shop, mariadb, database):
    chance = random.Random(14)
    shop.execute(CLIENTS)
    writers = [mariadb.connect(database) for _ in range(4)]
    for writer in writers:
        with writer.cursor() as cursor:
            cursor.execute("set session innodb_lock_wait_timeout = 5, tx_isolation = 'READ-COMMITTED'")
        writer.begin()
    for round_ in range(30):
        for number, writer in enumerate(writers):
            with writer.cursor() as cursor:
                delays = [chance.choice((0, 0, 1, 30, 60)) for _ in range(LATE_ROWS // 120)]  # an hour at the most
                minutes = [round_ - delay for delay in delays]
                cursor.executemany(
                    "insert into clients (name, updated_at) values (%s, '2026-01-01 02:00:00' + interval %s minute)",
                    [(f"Ёж {chance.random()}", minute) for minute in minutes],
                )
                cursor.execute("select id from clients where mod(id, 4) = %s", (number,))
                own = sorted(row[0] for row in cursor.fetchall())  # nobody waits for another one's locks
                for id_ in chance.sample(own, LATE_ROWS // 600):
                    change = "delete from clients" if chance.random() < 0.5 else "update clients set name = 'silent'"
                    cursor.execute(f"{change} where id = %s", (id_,))
            if chance.random() < 0.4:
                writer.commit()
                writer.begin()
        shop.ingest()
    for writer in writers:
        writer.commit()
        writer.close()
    shop.ingest()
    outcome = shop.reconcile()
    assert outcome.rows_landed and outcome.rows_gone
    with shop.connection.cursor() as cursor:
        cursor.execute("select id, name, cast(total as char), cast(updated_at as char) from clients")
        at_server = {str(row[0]): row for row in cursor.fetchall()}
    current = {key: row and tuple(row.values()) for key, row in shop.current().items()}
    assert {key: row for key, row in current.items() if row} == at_server
    assert shop.reconcile().rows_read == 0


def test_a_change_of_server_or_columns_is_told_once(warehouse):
    assert changes_of(warehouse, "shop_a", "", {"hostname": "a", "server_id": "1"}) == []
    assert changes_of(warehouse, "shop_a", "", {"hostname": "b", "server_id": "1"}) == ["hostname was a, is b"]
    assert changes_of(warehouse, "shop_a", "", {"hostname": "b", "server_id": "1"}) == []
    assert changes_of(warehouse, "shop_a", "t", {"id": "int", "x": "int"}) == []
    assert changes_of(warehouse, "shop_a", "t", {"id": "bigint", "y": "int"}) == [
        "id was int, is bigint", "y is new", "x is gone"
    ]  # fmt: skip


def test_the_command_compares_on_demand_when_due_and_when_the_server_is_another_one(ingest: Ingest, mariadb, database):
    def run(*arguments: str) -> str:
        finished = ingest.run("mysql", *arguments)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(CLIENTS)
        cursor.execute("insert into clients (id, updated_at) values (1, '2026-01-01'), (2, '2026-01-01')")
        ingest.set(shop_a_url=mariadb.url(database), shop_a_tables="clients:whole")
        assert "compared with the server, 0 rows found, 0 gone" in run("--full")
        cursor.execute("delete from clients where id = 1")
        assert "compared" not in run()
        assert "compared with the server, 0 rows found, 1 gone" in run("--reconcile")
        ingest.query("update ops.reconciliations set reconciled_at = reconciled_at - interval 25 hour")
        assert "compared with the server, 0 rows found, 0 gone" in run()
        facts = """'{"hostname": "elsewhere"}'"""
        ingest.query(f"update ops.source_facts set facts = {facts} where table_name = ''")
        said = run()
        assert "the server of shop_a is not the one of before: hostname was elsewhere" in said and "compared" in said
        status = ingest.run("status").stdout
        assert "Compared with the server" in status
        ingest.set(shop_a_reconcile_hours="0")
        ingest.query("update ops.reconciliations set reconciled_at = reconciled_at - interval 250 hour")
        assert "compared" not in run()
