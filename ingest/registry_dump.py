"""The tax service's bulk files as the registry: zips of XML, or XML, of EGRUL and EGRIP; all of it, then day by day.

Verdicts land with the day of the extract they are of, so whatever the order of the files, the newest counts. Position
and rows go in one transaction a batch: a run that was killed goes on at the company where it was.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from errno import EINVAL
from functools import lru_cache, partial
from glob import glob
from itertools import compress
from operator import not_
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import duckdb
import msgspec

from ingest import raw
from ingest.json_file import sample_of
from ingest.raw import DeadLetter, RawRecord
from ingest.registry import DESCRIPTION, QUEUE, TABLE
from ingest.registry_extract import Damage, Extract, companies
from ingest.warehouse import journal
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError

BATCH_BYTES = 64 << 20  # of XML looked through
BATCH_ROWS = 5_000
KEPT_BYTES = 1 << 20  # of a company that is broken, for its dead letter
SUFFIXES = (".zip", ".xml")
UNREADABLE_ZIP = (zipfile.BadZipFile, NotImplementedError, struct.error, UnicodeError)
# Of a member: a RuntimeError says that it has a password.
UNREADABLE = (EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)


class Verdict(msgspec.Struct):
    """The payload of a verdict of the tax service's."""

    inn: str
    found: bool
    extract: Extract


class Position(msgspec.Struct):
    """How far a file has been landed: its state in ops.watermarks, as JSON."""

    size: int
    modified_ns: int
    sample: str  # hash of its first and last bytes
    is_all: bool = False  # whether every company landed, or those the models ask for
    member: int = 0  # members that are done
    offset: int = 0  # bytes of the next one, decompressed
    is_complete: bool = False


class Batch(NamedTuple):
    """Verdicts and dead letters, and the position they bring the file to."""

    records: list[RawRecord]
    dead_letters: list[DeadLetter]
    position: Position
    seen: int  # companies
    without_inn: int
    size: int  # bytes looked through


class Dump:
    """One file, zip or XML, under the name it goes by in the warehouse."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.place = f"registry:{name}"  # what its watermark and dead letters go by
        self.members = 0

    def start(self, kept: str | None, is_all: bool, is_again: bool) -> Position:
        """Where to go on: where the last run was, unless the file has changed since or is read again."""
        status = self.path.stat()
        begin = Position(status.st_size, status.st_mtime_ns, sample_of(self.path), is_all)
        if not kept or is_again:
            return begin
        position = msgspec.json.decode(kept, type=Position)
        is_same = (position.size, position.sample) == (begin.size, begin.sample)
        is_enough = position.is_all or not is_all
        return position if is_same and is_enough else begin

    def batches(self, position: Position, is_wanted: Callable[[str], bool]) -> Iterator[Batch]:
        """Yield what follows `position`; what cannot be read becomes dead letters, and the rest follows."""
        members = self._members()
        for number, (member, opened) in enumerate(members):
            if number < position.member:
                continue
            reached = msgspec.structs.replace(position, member=number, offset=position.offset)
            for batch in self._of_member(member, opened, reached, is_wanted):
                reached = batch.position
                yield batch
            position = msgspec.structs.replace(reached, member=number + 1, offset=0)
        yield Batch([], [], msgspec.structs.replace(position, is_complete=True), 0, 0, 0)

    def _members(self) -> Iterator[tuple[str, Callable[[], BinaryIO]]]:
        if self.path.suffix.lower() == ".xml":
            yield self.name, lambda: self.path.open("rb")
            return
        with zipfile.ZipFile(self.path) as archive:
            infos = [info for info in archive.infolist() if info.file_size or not info.is_dir()]
            are_xml = [info.filename.lower().endswith(".xml") for info in infos]
            for info in compress(infos, are_xml):
                yield f"{self.name}/{info.filename}", partial(cast(Callable[..., BinaryIO], archive.open), info)
            for info in compress(infos, map(not_, are_xml)):
                yield f"{self.name}/{info.filename}", _not_xml
            if not infos:
                yield self.name, _not_xml

    def _of_member(
        self, member: str, opened: Callable[[], BinaryIO], position: Position, is_wanted: Callable[[str], bool]
    ) -> Iterator[Batch]:
        records: list[RawRecord] = []
        letters: list[DeadLetter] = []
        seen = without_inn = 0
        began = end = position.offset
        latest = journal.utc_now() + timedelta(days=1)  # one to come would outlive all others; clocks may differ

        def batch() -> Batch:
            reached = msgspec.structs.replace(position, offset=end)
            return Batch(records, letters, reached, seen, without_inn, end - began)

        try:
            with opened() as file:
                for company in companies(file, is_wanted, position.offset):
                    end = company.end
                    seen += 1
                    without_inn += company.inn is None and not company.problem
                    if company.problem:
                        letters.append(self._letter(member, company.start, company.problem, company.content))
                    elif company.extract is not None and (at := _day(company.extract.extracted_on)) and at <= latest:
                        inn = company.inn or ""
                        payload = msgspec.json.encode(Verdict(inn, True, company.extract))
                        records.append(RawRecord(payload, inn, at, f"{member}@{company.start}"))
                    elif company.extract is not None:
                        letters.append(self._letter(member, company.start, "is of no day, or of one to come"))
                    if end - began >= BATCH_BYTES or len(records) >= BATCH_ROWS:
                        yield batch()
                        records, letters, seen, without_inn, began = [], [], 0, 0, end
        except Damage as damage:
            letters.append(self._letter(member, damage.offset, damage.problem))
        except (*UNREADABLE, OSError) as error:
            if isinstance(error, OSError) and error.errno != EINVAL:  # the disk's; the other: a place before the file
                raise
            letters.append(self._letter(member, end, f"cannot be unpacked behind this place: {error}"))
        yield batch()

    def _letter(self, member: str, offset: int, problem: str, content: bytes = b"") -> DeadLetter:
        return DeadLetter(self.place, f"{member}@{offset}", problem, content[:KEPT_BYTES])


def _not_xml() -> BinaryIO:
    raise Damage("has no .xml in it", 0)


@lru_cache(1024)  # the extracts of a file are of few days
def _day(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%Y-%m-%d")
    except ValueError:
        return None


def dumps_of(place: str) -> list[Dump]:
    """The files at a path, in a folder or of a pattern, in the order of their names. Raises OperatorError when there
    are none."""
    path = Path(place)
    if path.is_dir():
        names = {file: file.relative_to(path).as_posix() for file in path.rglob("*") if file.suffix.lower() in SUFFIXES}
    else:
        paths = [Path(name) for name in glob(place, recursive=True)]  # noqa: PTH207 (what the operator typed)
        names = {file: file.name for file in paths if file.is_file()}
    if wrong := next((file for file in names if file.suffix.lower() not in SUFFIXES), None):
        raise OperatorError(f"{wrong} is no file of the registers", hint="they are .zip with .xml in it, or .xml")
    if not names:
        raise OperatorError(f"there is no file at {place}", hint="a .zip or .xml, a folder of such, or a pattern")
    return [Dump(file, names[file]) for file in sorted(names)]


def wanted_by_models(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The INNs that the models ask for. Raises OperatorError when they have not been built."""
    try:
        return {inn for (inn,) in connection.execute(f"select inn from {QUEUE}").fetchall()}
    except duckdb.CatalogException:
        raise OperatorError(
            f"there is no table {QUEUE} that says whose verdicts are wanted",
            hint="build the models first (dbt build --selector before_registry, as make full does), or add --all",
        ) from None


def land_dump(
    connection: duckdb.DuckDBPyConnection,
    dump: Dump,
    wanted: set[str] | None,
    step: journal.Step,
    *,
    is_again: bool = False,
    on_progress: Callable[[int], None] = lambda size: None,
) -> dict[str, int] | None:
    """Append the verdicts of a file, of the INNs that are wanted or, without them, of all; None for one landed before.

    Returns counts: `companies` looked at, `landed`, `refused` as dead letters, `without_inn`. Raises OperatorError when
    the file is none, or is broken: what could be read of it is landed by then.
    """
    table = raw.raw_table(connection, TABLE, DESCRIPTION)
    position = dump.start(journal.watermark(connection, dump.place), wanted is None, is_again)
    if position.is_complete:
        return None
    counts = dict.fromkeys(("companies", "landed", "refused", "without_inn"), 0)
    is_wanted = (lambda inn: True) if wanted is None else wanted.__contains__
    with _told(connection, dump, step):
        for batch in raw.read_ahead(dump.batches(position, is_wanted)):
            with transaction(connection):
                landed = _append(connection, table, batch.records, step.run_id)
                raw.append_dead_letters(connection, batch.dead_letters, step.run_id)
                text = msgspec.json.encode(batch.position).decode()
                journal.set_watermark(connection, dump.place, text, step.run_id)
            step.rows_in += batch.seen
            step.rows_out += landed
            for name, count in (
                ("companies", batch.seen), ("landed", landed), ("refused", len(batch.dead_letters)),
                ("without_inn", batch.without_inn),
            ):  # fmt: skip
                counts[name] += count
            on_progress(batch.size)
    return counts


def _append(connection: duckdb.DuckDBPyConnection, table: str, records: list[RawRecord], run_id: str) -> int:
    """Append verdicts but those that are there: a file may come again, and files may have a company in common."""
    if not records:
        return 0
    batch = raw.as_batch(records, is_own_json=True)
    with raw.visible(connection, "batch", batch):  # first by what is narrow: a full table has gigabytes of payloads
        ((met,),) = connection.execute(
            f"select count(*) from {table} semi join batch using (source_key, source_at)"
        ).fetchall()
    known = f"""not exists (from {table} as held where held.source_key = read.source_key
        and held.source_at = read.source_at and held.payload::varchar = read.payload::varchar)"""
    return raw.append_selected(
        connection, table, batch, "select * from batch", run_id, unless_known=known if met else "true"
    )


@contextmanager
def _told(connection: duckdb.DuckDBPyConnection, dump: Dump, step: journal.Step) -> Iterator[None]:
    try:
        yield
    except UNREADABLE_ZIP as error:
        letter = DeadLetter(dump.place, f"{dump.name}@0", f"is no whole zip: {error}", b"")
        raw.append_dead_letters(connection, [letter], step.run_id)
        raise OperatorError(
            f"{dump.name} is no whole zip ({error})", hint="its copy broke off: copy it anew, the next run reads it"
        ) from None
