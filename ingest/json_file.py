"""One big JSON document, object by object: whatever its size, only one batch of it is in memory."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from glob import glob
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec

from ingest import raw
from ingest.json_element import encoder
from ingest.json_split import NoArray, Splitter
from ingest.json_text import DocumentText
from ingest.raw import DeadLetter, RawRecord
from ingest.sources import JSONSource
from ingest.warehouse import gaps, journal
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError

BATCH_BYTES = 8 << 20
SAMPLE_BYTES = 1 << 16


class BrokenDocument(OperatorError):
    """The file stops being JSON, or stops, before its document ends. What was read until there is landed."""


class Position(msgspec.Struct, omit_defaults=False):
    """How far a file has been landed: its state in ops.watermarks, as JSON."""

    size: int = 0  # bytes on disk
    modified_ns: int = 0
    sample: str = ""  # hash of its first and last bytes; '' where it was not kept yet
    objects: int = 0  # elements of the array read so far
    digest: str = ""  # of those: tells a file that continues from one that was replaced
    is_complete: bool = False
    problem: str = ""  # why there is no more to be read of it

    def is_of(self, path: Path) -> bool:
        """Whether the file looks as it did."""
        status = path.stat()
        is_alike = (self.size, self.modified_ns) == (status.st_size, status.st_mtime_ns)
        return is_alike and self.sample in ("", sample_of(path))


def sample_of(path: Path) -> str:
    """A hash of the first and the last bytes of a file."""
    with path.open("rb") as file:
        ends = file.read(SAMPLE_BYTES)
        file.seek(max(0, path.stat().st_size - SAMPLE_BYTES))
        return hashlib.blake2b(ends + file.read(SAMPLE_BYTES), digest_size=16).hexdigest()


class Batch(NamedTuple):
    """Objects read, and the position they bring the file to; the last batch of a document brings its header as well."""

    records: list[RawRecord]
    dead_letters: list[DeadLetter]
    position: Position
    disk_position: int  # bytes of the file on disk that are read
    header: bytes | None = None


class JSONFile:
    """One document of a source on its way to the warehouse, where it goes by its name."""

    def __init__(self, path: Path, name: str, source: JSONSource) -> None:
        self.path, self.name, self.source = path, name, source
        self.place = f"{source.name}:{name}"  # what its watermark and dead letters go by
        self.is_read = False  # a file that is landed and looks unchanged is not
        self.warnings: list[str] = []

    def size(self) -> int:
        """Bytes on disk. Raises OperatorError when the file is missing."""
        if not self.path.is_file():
            raise missing_file(self.path, self.source)
        return self.path.stat().st_size

    def batches(self, landed: Position) -> Iterator[Batch]:
        """Yield the elements that follow those `landed` counts, some megabytes of them at a time.

        A file whose first elements are no longer those that were landed is another document and is read from its start.
        Raises BrokenDocument, after the last whole element was yielded, naming the byte and the number of elements;
        OperatorError when the document has no such array.
        """
        if landed.objects and not self._continues(landed):
            self.warnings.append(f"{self.name} was replaced since it was last read: landed anew")
            landed = Position()
        self.is_read = True
        status = self.path.stat()
        position = Position(status.st_size, status.st_mtime_ns, sample_of(self.path))
        with self._open() as text:
            splitter = self._splitter(text)
            try:
                splitter.find_array()
            except NoArray:
                if not splitter.is_cut_off:
                    raise self._no_array() from None
                splitter.problem, header = "is cut off", None
            else:
                for batch in self._batches(splitter, position, landed.objects):
                    yield batch._replace(disk_position=text.disk_position)
                header = splitter.header()
                if header is None and splitter.problem != "is cut off":
                    splitter.problem = "has no JSON before its array"
            if text.stray_chunks:
                self.warnings.append(
                    f"{self.name} holds bytes that are not UTF-8, first at byte {text.stray_at}: read as Windows-1251; "
                    f"ask for a clean one, or set {self.source.variable('charset')}=cp1251 if all of it is"
                )
            broken = self._broken(splitter, text, position.objects)
            position.is_complete, position.problem = broken is None, broken.problem if broken else ""
            last = None if header is None else encoder.encode(header)
            yield Batch([], [], msgspec.structs.replace(position), text.disk_position, last)
        if broken:
            raise broken

    def _open(self) -> DocumentText:
        return DocumentText(self.path, self.source.charset)

    def _splitter(self, text: DocumentText) -> Splitter:
        return Splitter(text, self.source.array.split(".")[:-1])

    def _batches(self, splitter: Splitter, position: Position, landed: int) -> Iterator[Batch]:
        digest = hashlib.blake2b(digest_size=16)
        records: list[RawRecord] = []
        letters: list[DeadLetter] = []
        size = refused = 0
        for number, element in enumerate(splitter.elements(), 1):
            content = element.text if element.payload is None else element.payload
            digest.update(content)
            position.objects = number
            if number > landed:
                place = f"{self.name}@{element.start}#{number}"
                if element.payload is not None:
                    records.append(RawRecord(element.payload, None, None, place))
                if element.problem:
                    letters.append(DeadLetter(self.place, place, element.problem, element.text))
                    refused += 1
                size += len(content)
            if size >= BATCH_BYTES:
                position.digest = digest.hexdigest()
                yield Batch(records, letters, msgspec.structs.replace(position), 0)
                records, letters, size = [], [], 0
        position.digest = digest.hexdigest()
        if refused:
            self.warnings.append(f"{self.name}: {refused} dead letters, with their places in raw.dead_letters")
        yield Batch(records, letters, msgspec.structs.replace(position), 0)

    def _continues(self, landed: Position) -> bool:
        with self._open() as text:
            splitter = self._splitter(text)
            try:
                splitter.find_array()
            except NoArray:
                return False
            digest = hashlib.blake2b(digest_size=16)
            for number, element in enumerate(splitter.elements(), 1):
                digest.update(element.text if element.payload is None else element.payload)
                if number == landed.objects:
                    return digest.hexdigest() == landed.digest
        return False

    def _broken(self, splitter: Splitter, text: DocumentText, objects: int) -> BrokenDocument | None:
        damage = splitter.damage
        if not splitter.problem and damage is None:
            return None
        what = splitter.problem if damage is None or isinstance(damage, EOFError) else "is damaged"
        place = f"at byte {text.bytes_read}" if what == "is cut off" else f"after byte {splitter.file_offset}"
        return BrokenDocument(
            f"{self.name} {what} {place} (decompressed), after {objects} elements",
            hint="those before that are landed; copy the file anew, the next run goes on after them",
        )

    def _no_array(self) -> OperatorError:
        return OperatorError(
            f"{self.name} has no array at {self.source.array.removesuffix('.item') or 'its top'}",
            hint=f"set {self.source.variable('array')} to the path of the array, with .item at its end",
        )


def files_of(source: JSONSource) -> list[Path]:
    """The files of a source in the order of their names. Raises OperatorError when there are none."""
    # pathlib's glob wants a pattern relative to some folder; this one takes what the operator typed
    paths = sorted(Path(name) for name in glob(source.files or "", recursive=True))  # noqa: PTH207
    if not paths:
        raise missing_file(source.files or "", source)
    return paths


def names_of(paths: Sequence[Path]) -> list[str]:
    """The names that files of a source go by in the warehouse: unique, the same wherever their folder is mounted."""
    names = [path.name for path in paths]
    return [path.name if names.count(path.name) == 1 else path.as_posix() for path in paths]


def missing_file(place: str | Path, source: JSONSource) -> OperatorError:
    """That there is nothing at a path or pattern."""
    hint = f"check {source.variable('files')}: a path or a pattern like data/history-*.json*"
    return OperatorError(f"there is no file {place}", hint=hint)


def made_at(batch: Batch) -> datetime:
    """When a document was made, in UTC: when its file was written, or before, if its `exported_at` says so."""
    written_at = datetime.fromtimestamp(batch.position.modified_ns / 1e9, UTC)
    header = msgspec.json.decode(batch.header or b"{}")
    with suppress(KeyError, TypeError, ValueError):
        written_at = min(written_at, datetime.fromisoformat(header["exported_at"]).astimezone(UTC))
    return written_at.replace(tzinfo=None)


def land_json_file(
    connection: duckdb.DuckDBPyConnection,
    file: JSONFile,
    step: journal.Step,
    *,
    is_full: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Append the objects of a document to raw.<source>__companies and its other keys to raw.<source>__files.

    Rows and position go in one transaction a batch, so a killed run goes on where it was. A file that is landed as far
    as it goes and looks unchanged is skipped; `is_full` reads it all the same, and lands it anew if its objects differ.
    `on_progress` is told how many more bytes of the file on disk are read.
    Raises BrokenDocument when the document ends too early: what it held is landed.
    """
    kept = journal.watermark(connection, file.place)
    landed = msgspec.json.decode(kept, type=Position) if kept else Position()
    if not is_full and (landed.is_complete or landed.problem) and landed.is_of(file.path):
        if landed.problem:
            file.warnings.append(f"{landed.problem}, as it was before: copy the file anew")
        return
    source = file.source.name
    objects = raw.raw_table(connection, f"{source}__companies", "Objects of JSON documents as they came, one row each.")
    files = raw.raw_table(
        connection, f"{source}__files", "JSON documents without their array of objects, one row each."
    )
    disk_position = 0
    for batch in raw.read_ahead(file.batches(landed)):
        with transaction(connection):
            step.rows_out += raw.append(connection, objects, batch.records, step.run_id, is_own_json=True)
            raw.append_dead_letters(connection, batch.dead_letters, step.run_id)
            if batch.header is not None:
                header = batch.header.decode()
                connection.execute(
                    f"""insert into {files} select payload, ?, null, ?, ?, ?::timestamp from (select ?::json as payload)
                        where ? is distinct from (
                            select arg_max(payload::varchar, ingested_at) from {files} where source_position = ?)""",
                    [file.name, file.name, step.run_id, journal.utc_now(), header, header, file.name],
                )
            journal.set_watermark(connection, file.place, msgspec.json.encode(batch.position).decode(), step.run_id)
            if batch.position.is_complete:
                gaps.repair(connection, source, made_at(batch))
        step.rows_in += len(batch.records) + len(batch.dead_letters)
        on_progress(batch.disk_position - disk_position)
        disk_position = batch.disk_position
