"""The copies that people read: all that is in use, nobody's data where it is masked, never in the way of a step."""

import os
import random
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from ingest.warehouse import block_copy, masking, running, snapshot
from ingest.warehouse.connection import open_for_reading, open_warehouse
from tests.ingest.conftest import Ingest

PEOPLE = ("Петров", "petrov", "example.ru", "9161234567", "Иванов", "4951234567")

OF_PEOPLE = (
    "create schema marts",
    "create schema intermediate",
    "create table marts.crm_contacts (contact_id varchar, last_name varchar, phones varchar[], emails varchar[])",
    "insert into marts.crm_contacts values ('p-1', 'Петров', ['+79161234567'], ['petrov@example.ru'])",
    "comment on column marts.crm_contacts.phones is 'E.164'",
    "create table marts.crm_companies (company_id varchar, title varchar, inn varchar, total decimal(9, 2))",
    "insert into marts.crm_companies values ('c-1', 'ООО Ромашка', '7707083893', 7), ('c-2', 'ИП Иванов', '1', 8)",
    "create table intermediate.keys (record_key varchar, key varchar, reason varchar)",
    "insert into intermediate.keys values ('shop_a:1', '79161234567', 'petrov@example.ru, 84951234567')",
    "create view marts.last_people as from marts.crm_contacts",
    "create view marts.first_people as from marts.last_people",
    """create table raw.shop_a__clients as select '{"name": "Петров"}'::json as payload, '1' as source_key""",
    """insert into sync.ledger values ('p', 'contact', 'p-1', 1, '{"n": "Петров"}', '{}', false, now(), null, 0, 0)""",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A warehouse with blocks that nothing is in any more."""
    path = tmp_path / "svod.duckdb"
    with open_warehouse(path) as connection:
        rows = "select n, n::varchar || repeat('x', 60) as text from range(60000) as t(n)"
        connection.execute(f"create table raw.a as {rows}")
        connection.execute("create table raw.b as from raw.a")
        connection.execute("checkpoint")
        connection.execute("drop table raw.a")
        connection.execute("checkpoint")
    return path


def test_the_copy_has_all_that_is_in_use_and_holes_for_the_rest(file):
    copy = file.with_name("copy")
    with duckdb.connect(str(file), read_only=True) as connection:
        ((free,),) = connection.execute("select free_blocks from pragma_database_size()").fetchall()
        before = connection.execute("select bit_xor(hash(b)), count(*) from raw.b as b").fetchall()
        assert free > 3 and block_copy.main(str(file), str(copy), str(free)) == 0
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert connection.execute("select bit_xor(hash(b)), count(*) from raw.b as b").fetchall() == before
    assert copy.stat().st_size == file.stat().st_size
    assert copy.stat().st_blocks * 512 <= file.stat().st_size - free * 200_000


def test_a_file_that_is_laid_out_otherwise_is_copied_as_a_whole(file, monkeypatch):
    assert block_copy.main(str(file), str(file.with_name("copy")), "1") == block_copy.UNKNOWN
    assert not file.with_name("copy").exists()
    other = file.with_name("other")
    for seed in range(50):
        other.write_bytes(random.Random(seed).randbytes(100_000))
        assert block_copy.main(str(other), str(file.with_name("copy")), "1") == block_copy.UNKNOWN, seed
    monkeypatch.setattr(snapshot, "COPY_USED", (sys.executable, "-c", "import sys; sys.exit(3)"))
    assert snapshot.make_snapshot(file)
    assert snapshot.snapshot_path(file).read_bytes() == file.read_bytes()


def test_a_masked_copy_has_nobody_in_it(tmp_path):
    path = tmp_path / "svod.duckdb"
    with open_warehouse(path) as connection:
        for sql in OF_PEOPLE:
            connection.execute(sql)
    assert snapshot.make_snapshot(path, mask=True)
    with duckdb.connect(str(masking.masked_path(path)), read_only=True) as connection:
        told = []
        for schema, table in connection.execute("select schema_name, table_name from duckdb_tables()").fetchall():
            told += connection.execute(f'select t::varchar from "{schema}"."{table}" as t').fetchall()
        told = str(told)
        assert [person for person in PEOPLE if person in told] == []
        for kept in ("ООО Ромашка", "7707083893", "shop_a:1", "p-1", "8.00"):
            assert kept in told, told
        assert connection.execute("select last_name, phones from marts.first_people").fetchall() == [
            ("П•••", ["+7•••"])
        ]
        assert connection.execute(
            "select comment from duckdb_columns() where table_name = 'crm_contacts' and column_name = 'phones'"
        ).fetchall() == [("E.164",)]
    assert snapshot.make_snapshot(path) and not masking.masked_path(path).exists()  # no copy of before is left lying


def test_inspect_answers_from_the_copy_and_makes_it_where_it_is_old(ingest: Ingest):
    shell = ingest.folder / "duckdb"
    shell.write_text('#!/bin/sh\\necho "$@"\\n')
    shell.chmod(0o755)
    with open_warehouse(ingest.warehouse) as connection:
        connection.execute("create table raw.x as select 42 as n")
    ended = ingest.run("inspect", "--sql", "from raw.x")
    assert ended.returncode == 0 and "42" in ended.stdout, ended.stderr
    with running.told.step(ingest.warehouse, "publish run", "r"):
        ended = ingest.run("inspect", "--sql", "from raw.x")
    assert ended.returncode == 0 and "publish run goes on: this is the copy of before" in ended.stderr
    ingest.set(inspect_mask="true")
    ended = ingest.run("inspect", "--sql", "from raw.x")
    assert ended.returncode == 0 and masking.masked_path(ingest.warehouse).exists()


def test_who_may_not_read_the_warehouse_is_given_the_copy(file, monkeypatch):
    """As another user of the readers' group, whose read of the file itself the kernel refuses."""
    snapshot.make_snapshot(file)
    opened = duckdb.connect

    def refused(path, *arguments, **options):
        if Path(path) == file:
            raise duckdb.IOException(f'IO Error: Cannot open file "{path}": Permission denied')
        return opened(path, *arguments, **options)

    monkeypatch.setattr(duckdb, "connect", refused)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != file)
    reading = open_for_reading(file)
    assert "is for its owner alone: this is its copy of" in reading.note
    reading.connection.close()


def test_a_loop_of_readers_ends_no_step(file):
    """Three readers that open it over and over, as `make status` and `make plan` in a loop; steps that write."""
    snapshot.make_snapshot(file)
    loop = """if True:
        import pathlib, sys, time
        from ingest.warehouse.connection import open_for_reading
        until = time.monotonic() + 4
        while time.monotonic() < until:
            connection = open_for_reading(pathlib.Path(sys.argv[1])).connection
            connection.execute("select count(*) from raw.b").fetchall()
            connection.close()"""
    readers = [subprocess.Popen([sys.executable, "-c", loop, str(file)], stderr=subprocess.PIPE) for _ in range(3)]
    for number in range(12):
        with running.told.step(file, "publish run", "r"), open_warehouse(file) as connection:
            connection.execute(f"create table raw.t{number} as select 1")
    for reader in readers:
        assert reader.communicate(timeout=60)[1] == b"" and reader.returncode == 0
