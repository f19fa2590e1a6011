"""Old versions go, each record's newest stays, and the file gets smaller."""

import pytest

from ingest import raw
from ingest.warehouse import compaction, journal, retention
from ingest.warehouse.connection import open_warehouse

OLD, NEW = "now()::timestamp - interval 400 day", "now()::timestamp - interval 1 day"


@pytest.fixture
def landed(warehouse):
    """Two clients with old versions; staging has read the newest of each; a shop's documents, in versions."""
    raw.raw_table(warehouse, "shop_a__clients", "")
    raw.raw_table(warehouse, "shop_b__companies", "")
    raw.raw_table(warehouse, "shop_b__files", "")
    for position, at in (("1@a", OLD), ("1@b", OLD), ("2@a", OLD), ("2@b", NEW), ("3@a", NEW)):
        warehouse.execute(
            f"insert into raw.shop_a__clients values ('{{}}', ?, null, ?, 'run', {at})", [position[0], position]
        )
    for position in ("f@1", "f@2", "f@3", "f@4"):
        warehouse.execute(f"insert into raw.shop_b__companies values ('{{}}', null, null, ?, 'run', {OLD})", [position])
    warehouse.execute(f"insert into raw.shop_b__files values ('{{}}', null, null, 'f', 'run', {OLD})")
    warehouse.execute(
        f"insert into raw.dead_letters values ('s', 'old', 'x', '', 'run', {OLD}), ('s', 'new', 'x', '', 'run', {NEW})"
    )
    for origin_id, at in (("old", OLD), ("new", NEW)):
        warehouse.execute(
            f"insert into sync.history values ('p', 'deal', '{origin_id}', 'update', '{{}}', '{{}}', 2, 'run', {at})"
        )
    warehouse.execute("create schema staging; create schema failures")
    lineage = "source_position, run_id, ingested_at"
    warehouse.execute(
        f"create table staging.stg_shop_a__clients as select {lineage} from raw.shop_a__clients "
        "where source_position in ('1@b', '2@b', '3@a')"
    )
    warehouse.execute(
        f"""create table staging.stg_shop_b__versions as
            select row_number() over (order by source_position desc) as version_number,
                nullif(version_number, 1) - 1 as content_number, {lineage} from raw.shop_b__companies"""
    )
    persons = f"create table staging.stg_shop_b__persons as select {lineage} from raw.shop_b__companies"
    warehouse.execute(f"{persons} where source_position = 'f@1'")
    columns = "'' as source_position, '' as run_id"
    warehouse.execute(f"create table failures.a_test as select 'old' as record_key, {OLD} as ingested_at, {columns}")
    return warehouse


def positions(warehouse, table: str) -> list[str]:
    return [position for (position,) in warehouse.execute(f"select source_position from {table} order by 1").fetchall()]


def models_ran(warehouse) -> None:
    values = "'run', 'dbt after_registry', now()::timestamp, 'done'"
    warehouse.execute(f"insert into ops.steps (run_id, step, started_at, status) values ({values})")


def test_each_records_newest_version_stays_however_old_it_is(landed):
    models_ran(landed)
    gone = retention.let_go(landed, 365)
    assert positions(landed, "raw.shop_a__clients") == ["1@b", "2@b", "3@a"]
    # the deletion, the content before it, and the last document that had somebody who is listed no more
    assert positions(landed, "raw.shop_b__companies") == ["f@1", "f@3", "f@4"]
    assert positions(landed, "raw.shop_b__files") == ["f"]
    assert positions(landed, "raw.dead_letters") == ["new"]
    assert landed.execute("select origin_id from sync.history").fetchall() == [("new",)]
    assert gone == {
        **{"raw.shop_a__clients": 2, "raw.shop_b__companies": 1, "raw.dead_letters": 1, "failures.a_test": 1},
        "sync.history": 1,
    }
    assert retention.let_go(landed, 365) == {}


def test_what_the_models_have_not_read_stays(landed):
    assert retention.let_go(landed, 0) == {}
    assert len(positions(landed, "raw.shop_a__clients")) == 5


def test_what_landed_last_stays_also_where_the_models_read_an_older_one(landed):
    landed.execute(f"insert into raw.shop_a__clients values ('{{}}', '1', null, '1@c', 'run', {OLD})")
    models_ran(landed)
    retention.let_go(landed, 365)
    assert "1@c" in positions(landed, "raw.shop_a__clients") and "1@b" in positions(landed, "raw.shop_a__clients")


def test_of_portals_old_versions_go_but_not_what_a_restored_box_was(landed):
    models_ran(landed)
    raw.raw_table(landed, "box__leads", "")
    for number, label, at in ((1, "baseline", OLD), (2, "", OLD), (3, "", OLD), (4, "", NEW)):
        landed.execute(
            f"insert into ops.snapshots select 'box', ?, 'box.test', ?, {at}, {at}, null, false", [number, label]
        )
    for key, begun, ended in (("restored", 1, 2), ("old", 2, 3), ("lately", 3, 4), ("newest", 3, None)):
        landed.execute("insert into ops.snapshot_keys values ('box', 'leads', ?, 'd', ?, ?)", [key, begun, ended])
        landed.execute(f"insert into raw.box__leads values ('{{}}', ?, null, ?, 'run', {OLD})", [key, str(begun)])
    assert retention.let_go(landed, 365)["raw.box__leads"] == 1
    kept = {("restored",), ("lately",), ("newest",)}
    assert {*landed.execute("select source_key from raw.box__leads").fetchall()} == kept
    assert {*landed.execute("select source_key from ops.snapshot_keys").fetchall()} == kept


def test_the_file_gets_smaller_and_all_else_stays_as_it_is(warehouse, tmp_path):
    file = tmp_path / "svod.duckdb"
    warehouse.execute("create table raw.big as select uuid()::varchar as text, 'Безенчуков' as name from range(200000)")
    warehouse.execute("create view raw.small as from raw.big where text = 'x'; comment on view raw.small is 'kept'")
    warehouse.execute("checkpoint")
    size = file.stat().st_size
    warehouse.execute("delete from raw.big")
    journal.set_watermark(warehouse, "a", "1", "run")
    assert compaction.is_worth_it(warehouse)
    warehouse.close()
    assert "Безенчуков".encode() in file.read_bytes()
    (tmp_path / "svod.duckdb.rewritten").write_bytes(b"what a killed one left")
    assert compaction.rewrite(file) > size / 2
    assert "Безенчуков".encode() not in file.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["svod.duckdb"]
    with open_warehouse(file) as connection:
        assert journal.watermark(connection, "a") == "1"
        ((comment,),) = connection.execute("select comment from duckdb_views() where view_name = 'small'").fetchall()
        assert comment == "kept"
        assert connection.execute("from duckdb_constraints() where schema_name = 'sync'").fetchall()
        assert not compaction.is_worth_it(connection)
