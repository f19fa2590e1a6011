"""The warehouse file: what is made in a new one, and how one of an older version is taken over."""

from pathlib import Path

import duckdb
import pytest

from ingest.warehouse.connection import open_for_reading, open_warehouse

ONE_PORTAL_SYNC = """
create schema sync;
create table sync.ledger (
    entity varchar not null, origin_id varchar not null, bitrix_id bigint, sent json not null, wanted json not null,
    is_adopted boolean not null, synced_at timestamp not null, primary key (entity, origin_id)
);
create table sync.intents (
    entity varchar not null, origin_id varchar not null, owner_id bigint, wanted json not null, links varchar[],
    intended_at timestamp not null
);
create table sync.dead_letters (
    entity varchar not null, origin_id varchar not null, error varchar not null, error_description varchar not null,
    attempts integer not null, last_at timestamp not null, next_at timestamp not null, wanted json not null,
    primary key (entity, origin_id)
);
create table sync.conflicts (
    entity varchar not null, origin_id varchar not null, field varchar not null, bitrix_id bigint, last_sent varchar,
    in_portal varchar, wanted varchar, noticed_at timestamp not null, primary key (entity, origin_id, field)
);
create table sync.adoption_doubles (
    entity varchar not null, origin_id varchar not null, found_by varchar not null, bitrix_ids bigint[] not null,
    noticed_at timestamp not null, primary key (entity, origin_id)
);
create index an_analysts_own on sync.ledger (bitrix_id);
comment on table sync.ledger is 'Parts that the portal holds of ours.';
insert into sync.ledger values ('company', 'c-1', 7, '{"title": "a"}', '{"title": "b"}', true, '2026-01-01');
insert into sync.ledger values ('contact', 'p-1', null, '{}', '{}', false, '2026-01-02');
insert into sync.intents values ('contact', 'p-2', 7, '{}', ['c-1'], '2026-01-03');
insert into sync.dead_letters values ('deal', 'd-1', 'E', 'refused', 3, '2026-01-04', '2026-01-05', '{}');
insert into sync.conflicts values ('company', 'c-1', 'title', 7, 'a', 'x', 'b', '2026-01-06');
insert into sync.adoption_doubles values ('company', 'c-2', 'INN', [8, 9], '2026-01-07');
"""
OTHER_SCHEMAS = """
create schema raw;
create schema ops;
create table raw.dead_letters (
    source varchar not null, source_position varchar not null, reason varchar not null,
    payload blob, run_id varchar not null, ingested_at timestamp not null
);
create table raw.shop_a__clients (payload json, source_key varchar, source_at timestamp, source_position varchar,
    run_id varchar, ingested_at timestamp);
create table ops.steps (
    run_id varchar not null, step varchar not null, started_at timestamp not null, finished_at timestamp,
    status varchar not null, rows_in bigint, rows_out bigint, detail json
);
create table ops.watermarks (
    source varchar primary key, position varchar not null, run_id varchar not null, updated_at timestamp not null
);
insert into raw.dead_letters values ('t', 't/0/1', 'not JSON', '\\xFF'::blob, 'r', '2026-01-01');
insert into raw.shop_a__clients values ('{"id": 1}', '1', '2026-01-01', 'clients/id=1', 'r', '2026-01-01');
insert into ops.steps values ('r', 'ingest mysql', '2026-01-01', '2026-01-02', 'done', 1, 1, '{}');
insert into ops.watermarks values ('shop_a.clients', '2026-01-01', 'r', '2026-01-01');
"""
TABLES = {  # name in an older version -> name now
    "sync.ledger": "sync.ledger",
    "sync.intents": "sync.intents",
    "sync.dead_letters": "sync.dead_letters",
    "sync.conflicts": "sync.conflicts",
    "sync.adoption_doubles": "sync.adoption_duplicates",
    "raw.dead_letters": "raw.dead_letters",
    "raw.shop_a__clients": "raw.shop_a__clients",
    "ops.steps": "ops.steps",
    "ops.watermarks": "ops.watermarks",
}


@pytest.fixture
def older_warehouse(tmp_path: Path) -> tuple[Path, dict[str, list[tuple]]]:
    """A warehouse file as the version before portals left it, and the rows of its tables."""
    path = tmp_path / "older.duckdb"
    with duckdb.connect(str(path), config={"storage_compatibility_version": "v1.4.0"}) as connection:
        connection.execute(ONE_PORTAL_SYNC + OTHER_SCHEMAS)
        return path, {name: connection.execute(f"from {name}").fetchall() for name in TABLES}


def test_a_warehouse_from_before_portals_keeps_every_row(older_warehouse):
    path, rows_before = older_warehouse
    for _ in range(3):  # opened again and again, also by a version that finds nothing to do any more
        with open_warehouse(path) as connection:
            for old_name, name in TABLES.items():
                portal = ("",) if name.startswith("sync.") else ()
                rows = [portal + row for row in rows_before[old_name]]
                rows_now = connection.execute(f"from {name}").fetchall()
                assert [row[: len(rows[0])] for row in rows_now] == rows, name
                assert rows_now, name
            tables = connection.execute("select table_name from duckdb_tables() where schema_name = 'sync'").fetchall()
            assert not {name for (name,) in tables if name.startswith("outdated_") or name == "adoption_doubles"}


def test_the_same_part_may_be_held_by_two_portals_but_once_by_each(older_warehouse):
    path, _ = older_warehouse
    insert = "insert into sync.ledger select ?, * exclude (portal) from sync.ledger where portal = '' limit 1"
    with open_warehouse(path) as connection:
        connection.execute(insert, ["box.example:8443"])
        with pytest.raises(duckdb.ConstraintException):
            connection.execute(insert, ["box.example:8443"])


def test_a_migration_that_breaks_leaves_the_older_tables_as_they_were(older_warehouse, monkeypatch):
    path, rows_before = older_warehouse
    monkeypatch.setattr("ingest.warehouse.schema.SCHEMA", "create table sync.ledger (portal varchar); select no_such")
    with pytest.raises(duckdb.Error):
        open_warehouse(path)
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("from sync.ledger").fetchall() == rows_before["sync.ledger"]


def test_a_warehouse_of_an_older_version_is_brought_up_to_date_to_be_read(older_warehouse):
    path, _ = older_warehouse
    connection, note = open_for_reading(path)
    assert note == "" and connection.execute("select count(*) from ops.mart_stamps").fetchall() == [(0,)]
    with pytest.raises(duckdb.InvalidInputException):
        connection.execute("delete from ops.steps")
    connection.close()


ONE_CLOUD = """
create schema transfer;
create table transfer.ledger (
    portal varchar not null, entity varchar not null, origin_id varchar not null, bitrix_id bigint, sent json not null,
    wanted json not null, is_adopted boolean not null, synced_at timestamp not null,
    primary key (portal, entity, origin_id)
);
create table transfer.id_map (
    target varchar not null, source_portal varchar not null, entity varchar not null, source_id varchar not null,
    target_id bigint not null, proof varchar not null, proven_at timestamp not null,
    primary key (target, source_portal, entity, source_id)
);
create table transfer.boxes (
    portal varchar not null, mark varchar not null, source_portal varchar, baseline_snapshot bigint,
    baseline_at timestamp, automation_off_at timestamp, primary key (portal, mark)
);
insert into transfer.ledger values ('box.test', 'lead', '5', 7, '{"created":true}', '{}', false, '2026-01-01');
insert into transfer.ledger values ('older.test', 'lead', '6', 8, '{}', '{}', false, '2026-01-01');
insert into transfer.ledger values ('oldest.test', 'lead', '7', 9, '{}', '{}', false, '2026-01-01');
insert into transfer.boxes values ('box.test', 'mark', 'cloud.test', null, '2026-01-01', null);
insert into transfer.id_map values ('older.test#mark', 'other.test', 'lead', '6', 8, 'created_by_us', '2026-01-01');
"""


def test_a_ledger_of_a_move_from_before_it_knew_clouds_is_of_the_one_its_box_was_given_for(tmp_path):
    path = tmp_path / "older.duckdb"
    with duckdb.connect(str(path), config={"storage_compatibility_version": "v1.4.0"}) as connection:
        connection.execute(ONE_CLOUD)
    for _ in range(2):
        with open_warehouse(path) as connection:
            lines = "select portal, source_portal, origin_id, bitrix_id, sent::varchar from transfer.ledger order by 3"
            assert connection.execute(lines).fetchall() == [
                ("box.test", "cloud.test", "5", 7, '{"created":true}'),
                ("older.test", "other.test", "6", 8, "{}"),
                ("oldest.test", "", "7", 9, "{}"),
            ]
            names = connection.execute("select table_name from duckdb_tables() where schema_name = 'transfer'")
            assert not [name for (name,) in names.fetchall() if name.startswith("outdated_")]


def test_every_table_says_what_it_is(warehouse):
    undescribed = warehouse.execute("select table_name from duckdb_tables() where comment is null").fetchall()
    assert undescribed == []


def test_positions_of_files_and_topics_get_the_name_of_their_source(tmp_path):
    path = tmp_path / "older.duckdb"
    state = '{"size":3,"modified_ns":1,"objects":2,"digest":"x","is_complete":true}'
    with open_warehouse(path) as connection:
        for table in ("shop_b__companies", "shop_b__events", "shop_c__events", "shop_d__companies"):
            connection.execute(f"create table raw.{table} as from raw.envelope")
        row = "null, null, null, ?, 'r', '2026-01-01'"
        connection.execute(f"insert into raw.shop_b__companies values ({row})", ["a b:1.json@7#1"])
        connection.execute(f"insert into raw.shop_c__events values ({row})", ["t.x-y/0/1"])
        marks = {"a b:1.json": state, "t.x-y/0": "7", "t.x-y/12": "0", "shop_a.clients": "2026-01-01", "cloud": "7",
                 "shop_d:b.json": state, "of nobody.json": state}  # fmt: skip
        for source, position in marks.items():
            connection.execute("insert into ops.watermarks values (?, ?, 'r', '2026-01-01')", [source, position])
        for source in ("a b:1.json", "t.x-y", "registry"):
            connection.execute("insert into raw.dead_letters values (?, 'p', 'r', null, 'r', now())", [source])
    for _ in range(2):
        with open_warehouse(path) as connection:
            kept = dict(connection.execute("select source, position from ops.watermarks").fetchall())
            assert kept == {
                "shop_b:a b:1.json": state, "shop_c:t.x-y/0": "7", "shop_c:t.x-y/12": "0",
                "shop_a.clients": "2026-01-01", "cloud": "7", "shop_d:b.json": state, "of nobody.json": state,
            }  # fmt: skip
            letters = connection.execute("select source from raw.dead_letters order by 1").fetchall()
            assert letters == [("registry",), ("shop_b:a b:1.json",), ("shop_c:t.x-y",)]


@pytest.mark.parametrize(
    "harm",
    [
        "drop table ops.lag",
        "comment on table ops.steps is 'of an older version'",
        "delete from ops.period",
        "alter table ops.mart_sizes drop column awaited_growth",
    ],
)
def test_whatever_is_not_as_it_is_declared_is_brought_up_to_date_and_else_nothing_is_run(tmp_path, monkeypatch, harm):
    def declared(connection: duckdb.DuckDBPyConnection) -> list[tuple]:
        return connection.execute(
            """select table_name, column_count, comment, (select count(*) from ops.period) from duckdb_tables()
               where schema_name = 'ops' order by 1"""
        ).fetchall()

    path = tmp_path / "svod.duckdb"
    with open_warehouse(path) as connection:
        whole = declared(connection)
        connection.execute(harm)
        assert declared(connection) != whole
    with open_warehouse(path) as connection:
        assert declared(connection) == whole
    monkeypatch.setattr("ingest.warehouse.schema.SCHEMA", "no statement")
    with open_warehouse(path) as connection:
        assert declared(connection) == whole


def test_a_warehouse_that_a_shell_has_written_in_its_newest_format_is_written_on(tmp_path):
    file = tmp_path / "svod.duckdb"
    with duckdb.connect(str(file)) as shell:
        shell.execute("create schema raw; create table raw.orders as select 1 as number")
    connection = open_warehouse(file)
    connection.execute("insert into raw.orders values (2)")
    assert connection.execute("select count(*) from raw.orders").fetchall() == [(2,)]
    connection.close()


def test_a_warehouse_opened_twice_by_one_program_is_one_also_through_a_link(tmp_path):
    path, link = tmp_path / "it's.duckdb", tmp_path / "link.duckdb"
    link.symlink_to(path)
    with open_warehouse(path) as first, open_warehouse(link) as second:
        first.execute("create table told as select 1 as number")
        assert second.execute("from told").fetchall() == [(1,)]
    with open_warehouse(link, read_only=True) as read:
        assert read.execute("from told").fetchall() == [(1,)]
