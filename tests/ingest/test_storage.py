"""What the disk does not let us do, and a file that is no warehouse, or no whole one: a line, a hint, a status."""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from ingest.warehouse import storage
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.snapshot import make_snapshot
from tests.failures_page import as_on_the_page
from tests.ingest.conftest import Ingest

IN_A_SMALL_DISK = 'mount -t tmpfs -o size=12m tmpfs "$0" && '


def in_a_small_disk(ingest: Ingest, script: str) -> subprocess.CompletedProcess:
    """Run a shell script where the folder `disk` is a disk of 12 MB; `$land` lands the files of shop B there."""
    disk = ingest.folder / "disk"
    disk.mkdir()
    ingest.set(warehouse=str(disk / "svod.duckdb"))
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", IN_A_SMALL_DISK + script, str(disk)],
        env=ingest.environment | {"land": f"{sys.executable} -m ingest.cli json"},
        cwd=ingest.folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def history(ingest: Ingest, companies: int) -> None:
    file = ingest.folder / "history.json"
    told = [{"uid": f"b-{n}", "title": os.urandom(200).hex()} for n in range(companies)]
    file.write_text(json.dumps({"companies": told}))
    ingest.set(shop_b_files=str(file))


def test_a_disk_that_fills_while_a_source_lands_is_named_with_what_is_free_and_the_next_run_goes_on(ingest: Ingest):
    history(ingest, 40_000)
    ended = in_a_small_disk(ingest, '$land; echo "ended $?"; mount -o remount,size=60m "$0" && $land; echo "ended $?"')
    assert "ended 1\n" in ended.stdout and ended.stdout.endswith("ended 0\n"), ended.stdout + ended.stderr
    error, hint = ended.stderr.splitlines()
    assert error.startswith(f"error: the disk is full: {ingest.folder}/disk/svod.duckdb.wal cannot grow, ")
    assert error.endswith(" MB free there")
    assert as_on_the_page("the disk is full: … cannot grow, … free there", error)
    assert hint == "hint: make room and run the same command again: what was landed or published before stays"


def test_a_warehouse_that_there_was_no_room_to_make_is_made_by_the_next_run(ingest: Ingest):
    history(ingest, 10)
    ended = in_a_small_disk(
        ingest, 'head -c 12m /dev/zero > "$0/other"; $land; echo "ended $?"; rm "$0/other"; $land; echo "ended $?"'
    )
    assert ended.stdout == "ended 1\nshop_b:history.json: 10 objects landed\ningest json: 10 objects landed\nended 0\n"
    assert "svod.duckdb cannot grow, 0.0 MB free there" in ended.stderr and "Traceback" not in ended.stderr


def test_a_disk_without_room_for_temporary_files_is_told_by_the_warehouses_name():
    text = (
        "Out of Memory Error: failed to offload data block\nThis limit was set by the 'max_temp_directory_size' setting"
    )
    told = storage.told(duckdb.OutOfMemoryException(text), Path("/tmp/svod.duckdb"))
    assert told is not None and told.problem.startswith("the disk is full: /tmp/svod.duckdb cannot grow, ")


def test_an_error_of_ours_is_none_of_the_disks():
    assert storage.told(duckdb.BinderException('Binder Error: column "a" not found')) is None
    assert storage.told(ValueError("No space left on device")) is None


@pytest.mark.parametrize("command", [("json",), ("status",), ("copy",)])
@pytest.mark.parametrize(
    ("warehouse", "problem"),
    [
        (".", ". is a folder"),
        ("/", "/ is a folder"),
        ("..", ".. is a folder"),
        ("a-folder", "a-folder is a folder"),
        ("x" * 250, "the file's name is too long"),
        ("x" * 300, "File name too long"),
        ("y/" * 3000 + "svod.duckdb", "File name too long"),
        (":memory:", "it is an address"),
        ("md:clients", "it is an address"),
        ("/dev/null", "/dev/null is no file"),
    ],
)
def test_a_warehouse_that_is_none_is_a_wrong_setting(ingest: Ingest, command, warehouse, problem):
    (ingest.folder / "a-folder").mkdir()
    ingest.set(warehouse=warehouse)
    ended = ingest.run(*command)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: SVOD_WAREHOUSE: {problem}") and "\nhint: " in ended.stderr
    assert len(ended.stderr.splitlines()) == 2


@pytest.mark.parametrize("command", [("json",), ("status",), ("copy",)])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.json", b'{"companies": []}'),
        ("text.csv", b"inn,name\n1,2\n"),
        ("text", b"a warehouse\n" * 1000),
        ("random", os.urandom(100_000)),
        ("sqlite", b"SQLite format 3\0" + bytes(4080)),
    ],
)
def test_a_file_of_something_else_is_no_warehouse_and_stays_as_it_is(ingest: Ingest, command, name, content):
    history(ingest, 3)
    (ingest.folder / name).write_bytes(content)
    ingest.set(warehouse=name)
    ended = ingest.run(*command)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert as_on_the_page("… is no DuckDB file", ended.stderr)
    assert f"{name} is no DuckDB file\nhint: SVOD_WAREHOUSE names a DuckDB file" in ended.stderr
    assert len(ended.stderr.splitlines()) == 2
    assert (ingest.folder / name).read_bytes() == content


def newer(content: bytearray) -> None:
    """As a DuckDB of the future writes it: the version in the header, and the header's checksum."""
    content[12:20] = struct.pack("<Q", 9_999)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", content[8:4096]):
        checksum ^= word * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    content[:8] = struct.pack("<Q", checksum)


def cut_off(content: bytearray) -> None:
    del content[len(content) // 2 :]


def overwritten(content: bytearray) -> None:
    content[8192:] = os.urandom(len(content) - 8192)


def with_another_header(content: bytearray) -> None:
    content[100:200] = os.urandom(100)


@pytest.mark.parametrize("command", [("json",), ("status",), ("copy",)])
@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (newer, "… was written by a newer DuckDB than …"),
        (cut_off, "… is damaged: DuckDB cannot read it"),
        (overwritten, "… is damaged: DuckDB cannot read it"),
        (with_another_header, "… is damaged: DuckDB cannot read it"),
    ],
)
def test_a_damaged_warehouse_is_told_in_a_line_with_what_can_take_its_place(ingest: Ingest, command, harm, problem):
    with open_warehouse(ingest.warehouse) as connection:
        connection.execute("create table raw.some as select random() as number from range(100_000)")
    content = bytearray(ingest.warehouse.read_bytes())
    harm(content)
    ingest.warehouse.write_bytes(content)
    ended = ingest.run(*command)
    assert ended.returncode == 1
    error, hint = ended.stderr.splitlines()
    assert error.startswith(f"error: {ingest.warehouse}") and as_on_the_page(problem, error)
    assert hint.startswith("hint: ") and ("in its place" in hint)


def test_a_copy_put_back_beside_the_log_of_a_killed_program_is_told_with_what_to_take_away(tmp_path):
    warehouse, copy, killed = (tmp_path / name for name in ("svod.duckdb", "copy.duckdb", "killed.duckdb"))
    open_warehouse(warehouse).close()
    shutil.copy(warehouse, copy)
    with open_warehouse(warehouse) as connection:
        connection.execute("create table raw.some as select 1 as number; checkpoint; insert into raw.some values (2)")
        shutil.copy(f"{warehouse}.wal", f"{killed}.wal")
    shutil.copy(copy, killed)
    with pytest.raises(OperatorError, match=r"killed\.duckdb\.wal is not the log of the warehouse beside it") as told:
        open_warehouse(killed)
    words = "… is not the log of the warehouse beside it: was that put back from a copy?"
    assert as_on_the_page(words, told.value.problem)
    assert f"mv {killed}.wal " in told.value.hint


def test_a_copy_that_cannot_be_made_says_how_much_is_free(tmp_path, monkeypatch):
    open_warehouse(tmp_path / "svod.duckdb").close()
    monkeypatch.setattr("ingest.warehouse.snapshot.COPY_USED", ("/bin/cp", "--no-such-option"))
    with pytest.raises(OperatorError, match=r"MB free there") as error:
        make_snapshot(tmp_path / "svod.duckdb")
    assert as_on_the_page("the copy for readers cannot be made: …, … free there", error.value.problem)
    assert "as much again" in error.value.hint
