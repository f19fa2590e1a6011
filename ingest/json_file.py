"""One big JSON document, object by object: whatever its size, only one batch of it is in memory."""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import ijson
import msgspec

from ingest import raw
from ingest.json_text import CHUNK_BYTES, DocumentText
from ingest.raw import DeadLetter, RawRecord
from ingest.sources import JSONSource
from ingest.warehouse import journal
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError

BATCH_BYTES = 8 << 20
HEADER_BYTES = 32 << 20  # what stands before the array is small; more than this is another kind of document
READ_ERRORS = (ijson.JSONError, EOFError, zlib.error, gzip.BadGzipFile, RecursionError)

encoder = msgspec.json.Encoder(decimal_format="number")
tail_decoder = msgspec.json.Decoder(type=dict[str, Any], float_hook=Decimal)


class BrokenDocument(OperatorError):
    """The file stops being JSON, or stops, before its document ends. What was read until there is landed."""


class Position(msgspec.Struct, omit_defaults=False):
    """How far a file has been landed: its state in ops.watermarks, as JSON."""

    size: int = 0  # bytes on disk
    modified_ns: int = 0
    objects: int = 0  # objects of the array read so far
    digest: str = ""  # of those objects' JSON: tells a file that continues from one that was replaced
    is_complete: bool = False


def header_of(head: DocumentText, array: str, tail: bytes) -> dict[str, Any] | None:
    """The document without its array: the keys before it (read anew from `head`) and those after it.

    None when the document has no such array. `tail` is text that starts inside the array. Its longest suffix that is
    one JSON object, once the bracket before it is replaced by an opening brace, is what follows the array: a suffix
    that starts inside the array closes more brackets than it opens.
    """
    keys = array.split(".")[:-1]
    builder = ijson.ObjectBuilder()
    for prefix, event, value in ijson.parse(head, buf_size=CHUNK_BYTES):
        if event == "start_array" and prefix == ".".join(keys):
            break
        if head.bytes_read > HEADER_BYTES:
            return None
        builder.event(event, value)
    else:
        return None
    if not keys:
        return {}
    header: dict[str, Any] = builder.value
    opening = b'{"":' * (len(keys) - 1) + b"{"
    end, rest = tail.find(b"]"), None
    while end >= 0 and rest is None:
        try:
            rest = tail_decoder.decode(opening + tail[end + 1 :].lstrip().removeprefix(b","))
        except msgspec.DecodeError:
            end = tail.find(b"]", end + 1)
    node, rest = header, rest or {}
    for key in keys[:-1]:
        inner = rest.pop("", {})
        node.update(rest)
        node, rest = node[key], inner
    node.update(rest)
    node.pop(keys[-1], None)
    return header


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
        self.is_read = False  # a file that is landed and looks unchanged is not
        self.warnings: list[str] = []

    def size(self) -> int:
        """Bytes on disk. Raises OperatorError when the file is missing."""
        if not self.path.is_file():
            raise missing_file(self.path, self.source)
        return self.path.stat().st_size

    def batches(self, landed: Position) -> Iterator[Batch]:
        """Yield the objects that follow those `landed` counts, some megabytes of them at a time.

        A file whose first objects are no longer those that were landed is another document and is read from its start.
        Raises BrokenDocument, after the last whole object was yielded, naming the byte and the number of objects;
        OperatorError when the document has no such array.
        """
        if landed.objects and not self._continues(landed):
            self.warnings.append(f"{self.name} was replaced since it was last read: landed anew")
            landed = Position()
        self.is_read = True
        status = self.path.stat()
        digest = hashlib.blake2b(digest_size=16)
        position = Position(status.st_size, status.st_mtime_ns)
        records: list[RawRecord] = []
        letters: list[DeadLetter] = []
        size = 0
        broken = None
        text = self._open()
        try:
            for number, payload, is_object in self._objects(text):
                digest.update(payload)
                position.objects = number
                if number <= landed.objects:
                    continue
                place = f"{self.name}@{text.bytes_read}#{number}"
                if is_object:
                    records.append(RawRecord(payload, None, None, place))
                else:
                    letters.append(DeadLetter(self.name, place, "not an object", payload))
                size += len(payload)
                if size >= BATCH_BYTES:
                    position.digest = digest.hexdigest()
                    yield Batch(records, letters, msgspec.structs.replace(position), text.disk_position)
                    records, letters, size = [], [], 0
            position.is_complete = True
        except READ_ERRORS as error:
            broken = self._broken(error, text.bytes_read, position.objects)
        if text.stray_chunks:
            self.warnings.append(
                f"{self.name} holds bytes that are not UTF-8, first at byte {text.stray_at}: read as Windows-1251"
            )
        header = self._header(b"".join(text.recent))
        if header is None and broken is None:
            raise OperatorError(
                f"{self.name} has no array at {self.source.array.removesuffix('.item') or 'its top'}",
                hint=f"set {self.source.variable('array')} to the path of the array, with .item at its end",
            )
        position.digest = digest.hexdigest()
        yield Batch(records, letters, position, text.disk_position, header)
        if broken:
            raise broken

    def _open(self) -> DocumentText:
        return DocumentText(self.path, self.source.charset)

    def _header(self, tail: bytes) -> bytes | None:
        with self._open() as head:
            try:
                header = header_of(head, self.source.array, tail)
            except READ_ERRORS:
                return None
        return None if header is None else encoder.encode(header)

    def _objects(self, text: DocumentText) -> Iterator[tuple[int, bytes, bool]]:
        """Number from 1, JSON and whether it is an object, of each element of the array."""
        with text:
            for number, value in enumerate(ijson.items(text, self.source.array, buf_size=CHUNK_BYTES), 1):
                yield number, encoder.encode(value), isinstance(value, dict)
                text.forget()

    def _continues(self, landed: Position) -> bool:
        digest = hashlib.blake2b(digest_size=16)
        try:
            for number, payload, _ in self._objects(self._open()):
                digest.update(payload)
                if number == landed.objects:
                    return digest.hexdigest() == landed.digest
        except READ_ERRORS:
            pass
        return False

    def _broken(self, error: Exception, byte: int, objects: int) -> BrokenDocument:
        is_cut_off = isinstance(error, EOFError) or "premature EOF" in str(error)
        what = (
            "is cut off" if is_cut_off else "stops being JSON" if isinstance(error, ijson.JSONError) else "is damaged"
        )
        near = "at byte" if is_cut_off else "before byte"
        return BrokenDocument(
            f"{self.name} {what} {near} {byte} (decompressed), after {objects} objects",
            hint="the objects before that are landed; copy the file anew, the next run goes on after them",
        )


def files_of(source: JSONSource) -> list[Path]:
    """The files of a source in the order of their names. Raises OperatorError when there are none."""
    # pathlib's glob wants a pattern relative to some folder; this one takes what the operator typed
    paths = sorted(Path(name) for name in glob(source.files or "", recursive=True))  # noqa: PTH207
    if not paths:
        raise missing_file(source.files or "", source)
    return paths


def names_of(paths: Sequence[Path]) -> list[str]:
    """The names that files go by in the warehouse: unique, the same wherever their folder is mounted."""
    names = [path.name for path in paths]
    return [path.name if names.count(path.name) == 1 else path.as_posix() for path in paths]


def missing_file(place: str | Path, source: JSONSource) -> OperatorError:
    """That there is nothing at a path or pattern."""
    hint = f"check {source.variable('files')}: a path or a pattern like data/history-*.json*"
    return OperatorError(f"there is no file {place}", hint=hint)


def land_json_file(
    connection: duckdb.DuckDBPyConnection,
    file: JSONFile,
    step: journal.Step,
    *,
    is_full: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Append the objects of a document to raw.<source>__companies and its other keys to raw.<source>__files.

    Rows and position go in one transaction a batch, so a killed run goes on where it was. A file that is landed whole
    and looks unchanged on disk is skipped; `is_full` reads it all the same, and lands it anew if its objects differ.
    `on_progress` is told how many more bytes of the file on disk are read.
    Raises BrokenDocument when the document ends too early: what it held is landed.
    """
    kept = journal.watermark(connection, file.name)
    landed = msgspec.json.decode(kept, type=Position) if kept else Position()
    status = file.path.stat()
    if not is_full and landed.is_complete and (landed.size, landed.modified_ns) == (status.st_size, status.st_mtime_ns):
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
                        where not exists (from {files} where source_position = ? and payload::varchar = ?)""",
                    [file.name, file.name, step.run_id, journal.utc_now(), header, file.name, header],
                )
            journal.set_watermark(connection, file.name, msgspec.json.encode(batch.position).decode(), step.run_id)
        step.rows_in += len(batch.records) + len(batch.dead_letters)
        on_progress(batch.disk_position - disk_position)
        disk_position = batch.disk_position
