"""The parts of a portal's backup: fetched over a line that breaks, each proven, and all of them as one archive."""

import itertools
import random
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest
import stamina

from ingest.backup import fetch, files
from ingest.backup.links import PartName, read_links
from ingest.backup.order import OutOfOrder, in_order
from ingest.backup.proof import Broken, PartProof, Proven, Truncated
from ingest.backup.run import fetch_backup
from ingest.backup.screen import MovingRate
from ingest.cli import main
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError, WarehouseBusy
from tests.ingest.conftest import Ingest
from tests.transfer import archive, kills_backup
from tests.transfer.archive import NAME
from tests.transfer.storage import RunningStorage

PARTS = archive.backup(4)
SECOND, LAST = f"{NAME}.1", f"{NAME}.3"


@pytest.fixture
def storage():
    with RunningStorage(PARTS) as running, stamina.set_testing(True, attempts=4):
        yield running


class Backup:
    """A backup into a folder of its own, in this process."""

    def __init__(self, folder: Path, storage: RunningStorage) -> None:
        self.warehouse, self.folder, self.storage = folder / "svod.duckdb", folder / "parts", storage
        self.links = folder / "links.txt"

    def run(self, **links: object) -> None:
        if not self.links.exists():
            self.storage.write_links(self.links)
        fetch_backup(self.warehouse, self.folder, self.links, streams=3)

    def fails(self) -> OperatorError:
        with pytest.raises(OperatorError) as caught:
            self.run()
        assert caught.value.exit_status == 1
        return caught.value

    def has(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if PartName.of(path.name)}

    def query(self, sql: str) -> list[tuple]:
        with closing(open_warehouse(self.warehouse)) as connection:
            return connection.execute(sql).fetchall()

    def begins(self, name: str) -> list[int]:
        """Where the requests of a part began, those that were answered with bytes."""
        return [got.begin for got in self.storage.requests if got.name == name and got.status in (200, 206)]


@pytest.fixture
def backup(tmp_path, storage):
    return Backup(tmp_path, storage)


def test_all_parts_are_fetched_once_proven_and_kept_account_of(backup, storage):
    backup.run()
    assert backup.has() == PARTS
    assert dict(storage.sent) == {name: len(data) for name, data in PARTS.items()}
    checked = subprocess.run(["sha256sum", "-c", f"{NAME}.sha256"], cwd=backup.folder, capture_output=True, text=True)
    assert checked.returncode == 0 and checked.stdout.count(": OK") == 4
    assert {path.name for path in backup.folder.iterdir()} == {*PARTS, f"{NAME}.sha256", ".lock"}
    rows = backup.query(
        "select name, number, bytes, fetched_bytes, proof, attempts, problem, rate > 0 from transfer.parts order by 2"
    )
    assert rows == [
        (name, number, len(data), len(data), "crc, size, order", 2, None, True)
        for number, (name, data) in enumerate(PARTS.items())
    ]
    ((status, rows_in, rows_out, size),) = backup.query(
        "select status, rows_in, rows_out, (detail ->> '$.proven_bytes')::int from ops.steps"
    )
    assert (status, rows_in, rows_out, size) == ("done", 4, 4, storage.total)


def test_what_is_on_disk_is_proven_without_fetching(backup, storage):
    archive.write(backup.folder, PARTS)
    backup.run()
    assert storage.requests == []
    assert backup.query("select count(*) from transfer.parts where proof = 'crc, size, order' and attempts = 0") == [
        (4,)
    ]


def test_without_links_what_is_on_disk_is_proven(backup):
    archive.write(backup.folder, PARTS)
    fetch_backup(backup.warehouse, backup.folder, None, streams=2)
    archive.write(backup.folder, {SECOND: PARTS[SECOND][:-1]})
    with pytest.raises(OperatorError) as caught:
        fetch_backup(backup.warehouse, backup.folder, None, streams=2)
    assert caught.value.details == [f"{SECOND}: is not there, and no link is"]


def test_a_line_that_breaks_goes_on_from_the_same_byte_on_condition_that_nothing_changed(backup, storage):
    storage.fail_next(SECOND, None, 20_000, 10_000)
    backup.run()
    assert backup.has() == PARTS
    assert backup.begins(SECOND) == [0, 22, 20_022, 30_022]
    assert all(got.is_conditional for got in storage.requests if got.begin)
    assert sum(storage.sent.values()) == storage.total


def test_a_line_that_only_drips_is_given_up_and_goes_on_later_where_it_was(backup, storage, monkeypatch):
    monkeypatch.setattr(fetch, "_WINDOW_S", 0.05)
    monkeypatch.setattr(fetch, "_LEAST_BYTES", 20_000)
    storage.rate = 50_000
    assert "sends fewer than 20,000 bytes a minute" in "".join(backup.fails().details)
    got = sum(path.stat().st_size for path in backup.folder.glob("*.part"))
    storage.rate = 0
    backup.run()
    assert backup.has() == PARTS
    assert 0 < got < storage.total


class TestDamage:
    """Each is seen and mended, and costs no more than the parts that are damaged."""

    def test_an_html_page_where_a_part_should_be_is_not_written(self, backup, storage):
        storage.fail_next(SECOND, "html", "html", None)
        backup.run()
        assert backup.has() == PARTS
        assert sum(storage.sent.values()) == storage.total

    def test_an_html_page_in_the_middle_of_a_part_does_not_spoil_it(self, backup, storage):
        storage.fail_next(SECOND, None, 20_000, "html")
        backup.run()
        assert backup.has() == PARTS
        assert sum(storage.sent.values()) == storage.total

    def test_the_whole_part_where_the_rest_was_asked_for_is_read_past_what_is_there(self, backup, storage):
        storage.fail_next(SECOND, None, 20_000, "no_range")
        backup.run()
        assert backup.has() == PARTS
        assert storage.total < sum(storage.sent.values()) <= storage.total + len(PARTS[SECOND])

    def test_a_storage_without_ranges_sends_each_part_once(self, backup, storage):
        storage.knows_ranges = False
        backup.run()
        assert backup.has() == PARTS
        assert sum(storage.sent.values()) == storage.total

    def test_another_etag_begins_the_part_anew(self, backup, storage):
        newer = archive.backup(4, seed=2)  # the portal made it again under the same names

        def replace() -> None:
            storage.objects = dict(newer)

        storage.fail_next(NAME, replace)
        archive.write(backup.folder, {f"{SECOND}.part": PARTS[SECOND][:20_000]})
        known = files.Version('"older-3"', len(PARTS[SECOND]))
        files.PartFile(backup.folder, PartName.of(SECOND)).remember(known)
        backup.run()
        assert backup.has() == newer
        assert 412 in [got.status for got in storage.requests if got.name == SECOND]
        assert storage.sent[SECOND] == len(newer[SECOND])

    def test_a_part_that_changes_under_way_is_fetched_as_it_is_now(self, backup, storage):
        newer = archive.part(archive.tar_stream({"new.dat": b"new" * 9_000}))

        def replace() -> None:
            storage.objects[SECOND] = newer

        storage.fail_next(SECOND, None, 20_000, replace)
        assert f"{SECOND} ends" in backup.fails().problem
        assert (backup.folder / SECOND).read_bytes() == newer
        assert 412 in [got.status for got in storage.requests if got.name == SECOND]

    @pytest.mark.parametrize("knows_ranges", [True, False])
    def test_bytes_of_two_versions_are_never_put_together_where_conditions_are_not_heeded(
        self, backup, storage, knows_ranges
    ):
        storage.heeds_conditions, storage.knows_ranges = False, knows_ranges
        newer = bytearray(PARTS[SECOND])
        newer[4] ^= 1  # another ETag, and no proof that would tell the two apart

        def replace() -> None:
            storage.objects[SECOND] = bytes(newer)

        storage.fail_next(SECOND, *([None] if knows_ranges else []), 20_000, replace)
        backup.run()
        assert (backup.folder / SECOND).read_bytes() == newer

    def test_without_etags_a_part_goes_on_as_well(self, backup, storage):
        storage.tells_etag = False
        storage.fail_next(SECOND, None, 20_000)
        backup.run()
        assert backup.has() == PARTS and backup.begins(SECOND) == [0, 22, 20_022]

    def test_a_bit_that_flips_on_the_way_costs_that_part_again(self, backup, storage):
        storage.fail_next(SECOND, None, "flip")
        backup.run()
        assert backup.has() == PARTS
        assert sum(storage.sent.values()) <= storage.total + len(PARTS[SECOND])

    @pytest.mark.parametrize("damage", ["truncated", "flipped", "text"])
    def test_a_part_that_is_damaged_in_the_storage_is_named_and_mended_alone(self, backup, storage, damage):
        broken = bytearray(PARTS[SECOND])
        broken[len(broken) // 2] ^= 1
        storage.objects[SECOND] = {"truncated": PARTS[SECOND][:-700], "flipped": bytes(broken), "text": b"no" * 999}[
            damage
        ]
        told = backup.fails()
        (line,) = told.details
        assert line.startswith(SECOND)
        assert backup.has() == {name: data for name, data in PARTS.items() if name != SECOND}
        assert storage.sent[SECOND] <= 2 * len(storage.objects[SECOND])
        assert not (backup.folder / f"{NAME}.sha256").exists()
        ((problem, proof),) = backup.query(f"select problem, proof from transfer.parts where name = '{SECOND}'")
        assert problem and proof is None
        storage.objects[SECOND] = PARTS[SECOND]
        storage.sent.clear()
        backup.run()
        assert backup.has() == PARTS and dict(storage.sent) == {SECOND: len(PARTS[SECOND])}

    @pytest.mark.parametrize("order", [(0, 2, 1, 3), (1, 0, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0)])
    def test_swapped_parts_get_their_right_names_and_are_not_fetched_again(self, backup, storage, order):
        names = [*PARTS]
        storage.objects = {name: PARTS[names[other]] for name, other in zip(names, order, strict=True)}
        if order[0]:  # the number of the last part is in another one now
            storage.write_links(backup.links)
        backup.run()
        assert backup.has() == PARTS
        assert sum(storage.sent.values()) == storage.total
        assert subprocess.run(["sha256sum", "--quiet", "-c", f"{NAME}.sha256"], cwd=backup.folder).returncode == 0
        requests = len(storage.requests)
        backup.run()
        assert len(storage.requests) == requests

    def test_a_part_of_another_backup_is_named(self, backup, storage):
        storage.objects[SECOND] = archive.backup(4, seed=9)[SECOND]
        assert SECOND in backup.fails().problem

    def test_a_missing_last_part_is_told_while_the_others_are_fetched(self, backup, storage, capsys):
        storage.write_links(backup.links, [name for name in PARTS if name != LAST])
        told = backup.fails()
        assert told.details == [f"{LAST}: is neither in {backup.folder} nor among the links"]
        output = capsys.readouterr().out
        assert output.index(f"no link leads to {LAST}") < output.index(f"{SECOND}: ")
        assert backup.has() == {name: data for name, data in PARTS.items() if name != LAST}
        storage.write_links(backup.links)
        backup.run()
        assert backup.has() == PARTS and sum(storage.sent.values()) == storage.total

    def test_a_missing_last_part_is_seen_where_the_archive_does_not_tell_its_number(self, backup, storage):
        older = archive.parts_of(archive.tar_stream(archive.some_files(400_000)), 65_536, tells_last=False)
        storage.objects = dict(itertools.islice(older.items(), len(older) - 1))
        assert "its last part is missing" in backup.fails().problem

    def test_a_missing_part_in_the_middle_is_named(self, backup, storage):
        storage.write_links(backup.links, [name for name in PARTS if name != SECOND])
        assert [line.split(":")[0] for line in backup.fails().details] == [SECOND]


class TestOnDisk:
    """What an earlier run, or a person, left in the folder."""

    def test_a_file_that_was_cut_short_goes_on_from_its_end(self, backup, storage):
        archive.write(backup.folder, {SECOND: PARTS[SECOND][:30_000]})
        backup.run()
        assert backup.has() == PARTS and backup.begins(SECOND) == [30_000]

    def test_a_damaged_file_is_fetched_again_alone(self, backup, storage):
        broken = bytearray(PARTS[SECOND])
        broken[9_999] ^= 64
        archive.write(backup.folder, PARTS | {SECOND: bytes(broken)})
        backup.run()
        assert backup.has() == PARTS and dict(storage.sent) == {SECOND: len(PARTS[SECOND])}

    @pytest.mark.parametrize("is_named", [True, False])
    def test_an_exchange_of_names_that_was_killed_in_the_middle_costs_a_part_at_most(self, backup, storage, is_named):
        """SECOND and LAST were swapped; SECOND has its right name already, or neither has."""
        archive.write(backup.folder, PARTS)
        (backup.folder / LAST).unlink()
        if is_named:  # what belongs to LAST was named SECOND, and is still on its way
            archive.write(backup.folder, {f"{SECOND}.moved": PARTS[LAST]})
        else:
            (backup.folder / SECOND).unlink()
            archive.write(backup.folder, {f"{SECOND}.moved": PARTS[LAST], f"{LAST}.moved": PARTS[SECOND]})
        backup.run()
        assert backup.has() == PARTS and not list(backup.folder.glob("*.moved"))
        assert sum(storage.sent.values()) == (len(PARTS[LAST]) if is_named else 0)

    def test_parts_of_an_older_backup_are_left_alone(self, backup, storage):
        older = archive.backup(2, seed=5, name="20260101_full.tar.gz")
        archive.write(backup.folder, older)
        backup.run()
        assert backup.has() == PARTS | older


class TestLinks:
    """They expire, they are secrets, and they name the part."""

    def test_a_new_link_goes_on_with_the_same_part_in_the_same_run(self, backup, storage):
        def expire() -> None:
            storage.expire(SECOND)
            storage.write_links(backup.links)

        storage.fail_next(SECOND, None, 20_000, expire)
        backup.run()
        assert backup.has() == PARTS and backup.begins(SECOND) == [0, 22, 20_022]
        assert sum(storage.sent.values()) == storage.total

    def test_an_expired_link_is_told_and_a_new_one_goes_on_in_the_next_run(self, backup, storage, capsys):
        storage.fail_next(SECOND, None, 20_000, lambda: storage.expire(SECOND))
        told = backup.fails()
        assert [line.split(":")[0] for line in told.details] == [SECOND]
        assert "(403)" in told.details[0] and "SVOD_TRANSFER_BACKUP_LINKS" in told.hint
        assert (backup.folder / f"{SECOND}.part").read_bytes() == PARTS[SECOND][:20_022]
        storage.write_links(backup.links)
        backup.run()
        assert backup.has() == PARTS and backup.begins(SECOND) == [0, 22, 20_022]
        assert sum(storage.sent.values()) == storage.total
        captured = capsys.readouterr()
        told_of = captured.out + captured.err + str(told.details) + told.problem + told.hint
        kept = str(backup.query("from transfer.parts")) + str(backup.query("from ops.steps"))
        written = b"".join(path.read_bytes() for path in backup.folder.iterdir())
        for text in (told_of, kept, written.decode("latin-1")):
            assert "s3cret" not in text and "X-Amz" not in text and "127.0.0.1" not in text

    def test_a_link_that_redirects_is_followed(self, backup, storage):
        backup.links.write_text("\n".join(storage.link(name, "moved") for name in PARTS))
        backup.run()
        assert backup.has() == PARTS

    def test_a_link_is_not_followed_into_clear_text(self, backup, storage):
        backup.links.write_text("\n".join(storage.link(name, "elsewhere") for name in PARTS))
        assert {line.partition(": ")[2] for line in backup.fails().details} == {
            "its link leads to storage.example in clear text (http://)"
        }

    def test_files_are_their_owners_alone_and_links_that_all_may_read_are_warned_of(self, backup, storage, capsys):
        storage.write_links(backup.links).chmod(0o644)
        backup.run()
        assert {path.stat().st_mode & 0o777 for path in backup.folder.iterdir()} == {0o600}
        assert f"everybody on this machine can read {backup.links}" in capsys.readouterr().err

    def test_names_come_from_the_path_the_query_or_the_line(self, tmp_path):
        file = tmp_path / "links"
        file.write_text(
            "\ufeff# of 30 November\n\n"
            "https://s.example/a/b.tar.gz?X-Amz-Signature=1\n"
            "https://s.example/a/b.tar.gz.10?X=1\n"
            "https://s.example/get?id=7&response-content-disposition=attachment%3B%20filename%3D%22b.tar.gz.2%22&s=1\n"
            "b.tar.gz.3 https://s.example/get?id=8\n"
            "https://s.example/a/b.tar.gz.10?X=2\n",
            encoding="utf-8",
        )
        links = read_links(file)
        assert sorted(map(str, links)) == ["b.tar.gz", "b.tar.gz.10", "b.tar.gz.2", "b.tar.gz.3"]
        assert links[PartName("b.tar.gz", 10)].get_secret_value().endswith("X=2")

    @pytest.mark.parametrize(
        ("lines", "problem"),
        [
            ("https://s.example/s3cret/index.html", "line 1 of"),
            ("https://s.example/a.tar.gz\nftp://s.example/s3cret/a.tar.gz.1", "line 2 of"),
            ("https://s.example/s3cret/../.tar.gz", "line 1 of"),
            ("https://s.example/a.tar.gz\nhttps://s.example/s3cret/b.tar.gz.1", "several backups: a.tar.gz, b.tar.gz"),
            ("http://s.example/s3cret/a.tar.gz", "line 1 of links.txt begins with http://"),
            ("", "holds no link"),
            (None, "cannot be read"),
        ],
    )
    def test_a_wrong_file_of_links_is_a_wrong_setting_and_never_shown(
        self, tmp_path, monkeypatch, capsys, lines, problem
    ):
        if lines is not None:
            (tmp_path / "links.txt").write_text(lines)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SVOD_TRANSFER_BACKUP_LINKS", "links.txt")
        monkeypatch.setattr("sys.argv", ["ingest", "backup"])
        with pytest.raises(SystemExit) as ended:
            main()
        output, errors = capsys.readouterr()
        assert ended.value.code == 2 and problem in errors and "s3cret" not in errors + output

    def test_neither_links_nor_parts_is_a_wrong_setting(self, ingest: Ingest):
        finished = ingest.run("backup")
        assert finished.returncode == 2 and "SVOD_TRANSFER_BACKUP_LINKS is not set" in finished.stderr


class TestPatience:
    """A storage that is unwell is waited for, and not for ever."""

    def test_a_storage_that_is_busy_is_asked_again(self, backup, storage):
        storage.fail_next(SECOND, "503", "503", None, "503")
        backup.run()
        assert backup.has() == PARTS and sum(storage.sent.values()) == storage.total

    def test_a_storage_that_stays_unwell_is_given_up_and_everything_else_is_there(self, backup, storage):
        storage.fail_next(SECOND, *["503"] * 20)
        (line,) = backup.fails().details
        assert line.startswith(f"{SECOND}: the storage answers 503")
        assert len(backup.has()) == 3

    def test_when_nothing_comes_any_more_the_other_parts_are_not_waited_for(self, tmp_path, storage):
        links = storage.write_links(tmp_path / "links.txt")
        for name in PARTS:
            storage.fail_next(name, *["503"] * 100)
        with pytest.raises(OperatorError) as caught:
            fetch_backup(tmp_path / "svod.duckdb", tmp_path / "parts", links, streams=1, patience=0)
        assert "nothing comes from the storage" in caught.value.details[-1]
        assert LAST not in {got.name for got in storage.requests}

    def test_a_line_that_breaks_again_and_again_is_no_reason_to_give_up_while_bytes_come(self, backup, storage):
        storage.fail_next(SECOND, None, *[1_000] * 20)
        backup.run()
        assert backup.has() == PARTS and sum(storage.sent.values()) == storage.total


class TestRoom:
    """The disk is looked at before it is filled."""

    def test_a_disk_too_small_is_told_before_more_than_the_first_bytes_are_fetched(self, backup, storage, monkeypatch):
        usage = files.shutil.disk_usage(backup.warehouse.parent)
        free = files.SPARE_BYTES + storage.total - 1_000
        monkeypatch.setattr(files.shutil, "disk_usage", lambda path: usage._replace(free=free))
        told = backup.fails()
        assert "has room for" in told.problem and "SVOD_TRANSFER_PARTS" in told.hint
        assert sum(storage.sent.values()) == 22 * len(PARTS)
        monkeypatch.undo()
        backup.run()
        assert backup.has() == PARTS and sum(storage.sent.values()) == storage.total

    def test_a_disk_that_fills_up_is_told(self, backup, storage, monkeypatch):
        class Full:
            def __enter__(self) -> "Full":
                return self

            def __exit__(self, *exc: object) -> None: ...

            def write(self, data: bytes) -> None:
                raise OSError(28, "No space left on device", "parts")

        monkeypatch.setattr(files.PartFile, "append", lambda self: Full())
        told = backup.fails()
        assert "No space left on device" in told.problem and "goes on from there" in told.hint


class TestWarehouse:
    """Nobody is kept out of it by a backup, and a backup by nobody."""

    def test_others_write_while_a_backup_runs(self, ingest: Ingest, tmp_path):
        with RunningStorage(PARTS, rate=40_000) as storage:
            ingest.set(transfer_backup_links=str(storage.write_links(tmp_path / "links.txt")))
            ingest.set(transfer_parts=str(tmp_path / "parts"))
            running = ingest.start("backup")
            while not storage.sent:
                assert running.poll() is None
                time.sleep(0.02)
            with closing(open_warehouse(ingest.warehouse)) as connection:  # as a nightly run does, for all of the rest
                statuses = connection.execute("select status from ops.steps where step = 'ingest backup'").fetchall()
                assert statuses == [("running",)]
                second = ingest.run("backup")
                assert second.returncode == 75 and "another run holds" in second.stderr
                while not list((tmp_path / "parts").glob("*.sha256")):
                    assert running.poll() is None
                    time.sleep(0.05)
            _, errors = running.communicate(timeout=60)
        assert running.returncode == 0, errors
        assert ingest.query("select count(*) from transfer.parts where proof = 'crc, size, order'") == [(4,)]
        assert ingest.query("select status from ops.steps where step = 'ingest backup'") == [("done",)]

    def test_a_warehouse_that_stays_busy_is_told_and_the_next_run_fetches_nothing(self, backup, storage, monkeypatch):
        busy = {"is": True}

        def opened(path: Path, **options: object) -> object:
            if busy["is"]:
                raise WarehouseBusy("it is open in process 7")
            return open_warehouse(path)

        monkeypatch.setattr("ingest.backup.ledger.open_warehouse", opened)
        with pytest.raises(WarehouseBusy, match=r"transfer\.parts is not written"):
            backup.run()
        assert backup.has() == PARTS
        busy["is"] = False
        requests = len(storage.requests)
        backup.run()
        assert len(storage.requests) == requests
        assert backup.query("select count(*) from transfer.parts where proof is not null") == [(4,)]

    def test_attempts_and_bytes_add_up_over_runs(self, backup, storage):
        storage.fail_next(SECOND, None, 20_000, lambda: storage.expire(SECOND))
        backup.fails()
        storage.write_links(backup.links)
        backup.run()
        requests = sum(got.name == SECOND for got in storage.requests)
        kept = backup.query(f"select attempts, fetched_bytes, problem from transfer.parts where name = '{SECOND}'")
        assert kept == [(requests, len(PARTS[SECOND]), None)]


def proven(data: bytes, name: str = NAME, chunk: int = 7_001) -> Proven:
    proof = PartProof(PartName.of(name))
    for at in range(0, len(data), chunk):
        proof.feed(data[at : at + chunk])
    return proof.finish()


class TestProof:
    """A part by itself: CRC and length of its members, the size that its header tells."""

    @pytest.mark.parametrize("chunk", [1, 513, 1 << 20])
    def test_however_the_bytes_come_the_proof_is_the_same(self, chunk):
        data = archive.part(archive.tar_stream(archive.some_files(20_000)), 7, members=3)
        told = proven(data, chunk=chunk)
        assert (told, told.header.last_number, told.proof) == (proven(data), 7, "crc, size")
        assert told.first_entry == 0 and told.overhang == 0

    def test_no_flipped_bit_that_matters_passes(self):
        data, dice = archive.part(random.Random(1).randbytes(3_000)), random.Random(2)
        # RFC 1952: nothing guards a member's time, its extra flags and its system, and nothing reads them.
        second = data.index(archive.member(random.Random(1).randbytes(3_000)[:1_500])[:10], 22)
        unguarded = {at for begin in (0, second) for at in range(begin + 3, begin + 10)} | {12, 13, 14, 15}
        for _ in range(400):
            at = dice.randrange(len(data))
            if at in unguarded:
                continue
            flipped = bytearray(data)
            flipped[at] ^= 1 << dice.randrange(8)
            with pytest.raises(Broken):
                proven(bytes(flipped))
                pytest.fail(f"byte {at}")

    def test_every_truncation_is_seen(self):
        data = archive.part(bytes(5_000))
        for length in range(len(data)):
            with pytest.raises(Truncated):
                proven(data[:length])

    def test_a_part_that_was_never_finished_is_seen_by_its_size(self):
        unfinished = bytearray(archive.part(bytes(512)))
        unfinished[18:22] = b"0000"  # what the archiver puts there until it closes the part
        with pytest.raises(Broken, match="its header tells of"):
            proven(bytes(unfinished))

    def test_bytes_after_the_last_member_are_seen(self):
        with pytest.raises(Broken):
            proven(archive.part(bytes(512)) + b"<html>")

    def test_a_gzip_that_others_made_is_proven_by_its_crc(self):
        assert proven(archive.member(b"x" * 999)).proof == "crc"

    def test_a_member_that_unpacks_to_very_much_needs_little_memory(self):
        import tracemalloc

        data = archive.part(bytes(24 << 20), members=1)
        tracemalloc.start()
        assert proven(data, chunk=1 << 16).unpacked_size == 24 << 20
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
        tracemalloc.stop()


class TestOrder:
    """Parts as one tar stream: an entry that begins in one ends in the next."""

    @staticmethod
    def of(parts: dict[str, bytes]) -> list[Proven]:
        def rescan(part: Proven, starts_at: int) -> Proven:
            proof = PartProof(part.name, entries_start_at=starts_at)
            proof.feed(parts[str(part.name)])
            return proof.finish()

        return in_order([proven(data, name) for name, data in parts.items()], rescan)

    def test_every_order_of_the_parts_is_put_right(self):
        names = [*PARTS]
        for shuffled in itertools.permutations(names):
            order = self.of(dict(zip(names, (PARTS[name] for name in shuffled), strict=True)))
            assert [shuffled[names.index(str(part.name))] for part in order] == names

    def test_a_file_larger_than_a_part_is_followed_over_the_parts(self):
        large = random.Random(3).randbytes(150_000)
        stream = archive.tar_stream({"a": b"a" * 700, "large": large, "b": b"b" * 100_000})
        parts = archive.parts_of(stream, 65_536)
        names = [*parts]
        assert [str(part.name) for part in self.of(parts)] == names
        swapped = dict(zip(names, (parts[names[number]] for number in (0, 2, 1, 3)), strict=True))
        assert [str(part.name) for part in self.of(swapped)] == [names[number] for number in (0, 2, 1, 3)]

    def test_the_last_part_is_known_by_its_size_where_a_file_is_larger_than_a_part(self):
        stream = archive.tar_stream({"a": b"a" * 700, "large": random.Random(3).randbytes(300_000), "b": b"b" * 10})
        parts = archive.parts_of(stream, 65_536)
        names = [*parts]
        swapped = dict(zip(names, (parts[names[number]] for number in (0, 1, 2, 4, 3)), strict=True))
        assert [str(part.name) for part in self.of(swapped)] == [names[number] for number in (0, 1, 2, 4, 3)]

    def test_a_tar_inside_the_archive_is_not_taken_for_its_entries(self):
        inner = archive.tar_stream({"x": b"1" * 5_000, "y": b"2" * 90_000, "z": b"3" * 40_000})
        parts = archive.parts_of(archive.tar_stream({"inner.tar": inner, "after": b"4" * 60_000}), 32_768)
        assert [str(part.name) for part in self.of(parts)] == [*parts]

    def test_an_end_mark_is_an_end(self):
        parts = archive.parts_of(archive.tar_stream({"a": bytes(70_000)}) + bytes(10_240), 32_768)
        assert len(self.of(parts)) == 3

    def test_what_does_not_belong_is_named(self):
        parts = PARTS | {SECOND: archive.backup(4, seed=8)[SECOND]}
        with pytest.raises(OutOfOrder, match=r"\.1 does not go on"):
            self.of(parts)

    def test_an_encrypted_archive_is_proven_as_far_as_that_goes(self, tmp_path, storage, capsys):
        dice = random.Random(4)
        storage.objects = archive.parts_of(dice.randbytes(150_000), 65_536, "x.enc.gz")
        backup = Backup(tmp_path, storage)
        backup.run()
        assert backup.query("select distinct proof from transfer.parts") == [("crc, size",)]
        assert "encrypted" in capsys.readouterr().out


def test_the_rate_is_that_of_the_last_minutes():
    now = [0.0]
    rate = MovingRate(window=60, clock=lambda: now[0])
    assert rate.rate() == 0 and rate.ends_at(1) is None
    for second in range(1, 301):
        now[0] = second
        rate.add(1_000 if second <= 200 else 100)
    assert rate.rate() == pytest.approx(100, rel=0.05)


def test_kills_at_random_moments_leave_no_gap_and_fetch_nothing_again(tmp_path):
    outcome = kills_backup.run(30, seed=20261130, folder=tmp_path)
    assert outcome.differences == []
    assert outcome.kills == 30 and outcome.in_the_middle > 10


def test_a_wrong_number_of_streams_is_refused(ingest: Ingest):
    ingest.set(transfer_backup_streams="0")
    finished = ingest.run("backup")
    assert finished.returncode == 2 and "SVOD_TRANSFER_BACKUP_STREAMS" in finished.stderr
