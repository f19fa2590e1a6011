"""One big JSON document, object by object: whatever its size, only one batch of it is in memory."""

import codecs
import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import ijson
import msgspec

from ingest import raw
from ingest.raw import DeadLetter, RawRecord
from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError

CHUNK_BYTES = 1 << 17
BATCH_BYTES = 8 << 20
HEADER_BYTES = 32 << 20  # what stands before and after the array is small; more than this is another kind of document
GZIP_MAGIC = b"\x1f\x8b"
ASCII = bytes(range(128))

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


def windows_1251_bytes(error: UnicodeError) -> tuple[str, int]:
    """Read a byte that does not fit the charset as Windows-1251; the one byte undefined there (0x98) stays U+0098."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    byte = error.object[error.start : error.start + 1]
    return ("\x98" if byte == b"\x98" else byte.decode("cp1251")), error.start + 1


codecs.register_error("windows-1251-bytes", windows_1251_bytes)


class DocumentText:
    """The document as UTF-8 bytes without a BOM, for the parser; remembers what the parser's errors do not tell.

    Plain or gzip by its first bytes. `charset` is `utf-8`, `cp1251` or `auto`: Windows-1251 when the first chunk
    that has non-ASCII bytes is mostly not UTF-8. In a UTF-8 file a stray byte is read as Windows-1251 and counted.
    """

    def __init__(self, path: Path, charset: str = "auto") -> None:
        self.file = path.open("rb")
        is_gzip = self.file.peek(2)[:2] == GZIP_MAGIC
        self.stream = io.BufferedReader(gzip.GzipFile(fileobj=self.file), CHUNK_BYTES) if is_gzip else self.file
        self.charset = None if charset == "auto" else charset
        self.bytes_read = 0  # decompressed, before any re-encoding
        self.disk_position = 0  # bytes of the file on disk that are consumed: what a progress bar shows
        self.pending = b""  # the first bytes of a character whose rest is in the next chunk
        self.stray_at: int | None = None
        self.stray_chunks = 0
        self.recent: list[bytes] = []  # chunks since `forget`, the newest last

    def __enter__(self) -> "DocumentText":
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.file.close()

    def read(self, size: int = -1) -> bytes:
        """The next chunk, of any size but empty only at the end; `read(0)` is how the parser asks: bytes or text?"""
        while size:
            data = self.stream.read(CHUNK_BYTES)
            self.disk_position = self.file.tell()
            is_start = self.bytes_read == 0
            text = self._as_utf8(data.removeprefix(codecs.BOM_UTF8) if is_start else data)
            self.bytes_read += len(data)
            if text or not data:
                self.recent.append(text)
                if len(self.recent) > HEADER_BYTES // CHUNK_BYTES:
                    del self.recent[0]
                return text
        return b""

    def _as_utf8(self, data: bytes) -> bytes:
        data = self.pending + data
        is_last = len(data) == len(self.pending)  # nothing came after what was pending
        if self.charset is None and not data.isascii():
            self.charset = charset_of(data)
        if self.charset == "cp1251":
            self.pending = b""
            return data.decode("cp1251", "windows-1251-bytes").encode()
        try:
            _, end = codecs.utf_8_decode(data, "strict", is_last)
            text = data[:end]
        except UnicodeDecodeError as error:
            if self.stray_at is None:
                self.stray_at = self.bytes_read - len(self.pending) + error.start
            self.stray_chunks += 1
            repaired, end = codecs.utf_8_decode(data, "windows-1251-bytes", is_last)
            text = repaired.encode()
        self.pending = data[end:]
        return text

    def forget(self) -> None:
        """Drop every chunk but the newest: an object ended in it, so what follows the array starts no earlier."""
        del self.recent[:-1]


def charset_of(data: bytes) -> str | None:
    """`utf-8` when most non-ASCII bytes form UTF-8 characters, of Windows-1251 text hardly any do; None without any."""
    text, end = codecs.utf_8_decode(data, "ignore", False)  # the last character may be cut off by the chunk's end
    seen, valid = (len(part.translate(None, ASCII)) for part in (data[:end], text.encode()))
    return None if not seen else "utf-8" if 2 * valid >= seen else "cp1251"


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
    header = builder.value
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
    header: bytes | None = None


class JSONFile:
    """One document on its way to the warehouse."""

    def __init__(self, path: Path, name: str, *, array: str = "companies.item", charset: str = "auto") -> None:
        self.path, self.name, self.array, self.charset = path, name, array, charset
        self.text: DocumentText | None = None
        self.warnings: list[str] = []

    def batches(self, landed: Position) -> Iterator[Batch]:
        """Yield the objects that follow those `landed` counts, some megabytes of them at a time.

        A file whose first objects are no longer those that were landed is another document and is read from its start.
        Raises BrokenDocument, after the last whole object was yielded, naming the byte and the number of objects;
        OperatorError when the document has no such array.
        """
        if landed.objects and not self._continues(landed):
            self.warnings.append(f"{self.name} was replaced since it was last read: landed anew")
            landed = Position()
        status = self.path.stat()
        digest = hashlib.blake2b(digest_size=16)
        position = Position(status.st_size, status.st_mtime_ns)
        records: list[RawRecord] = []
        letters: list[DeadLetter] = []
        size = 0
        broken = None
        try:
            for number, payload, is_object in self._objects():
                digest.update(payload)
                position.objects = number
                if number <= landed.objects:
                    continue
                place = f"{self.name}@{self.text.bytes_read}#{number}"
                if is_object:
                    records.append(RawRecord(payload, None, None, place))
                else:
                    letters.append(DeadLetter(self.name, place, "not an object", payload))
                size += len(payload)
                if size >= BATCH_BYTES:
                    position.digest = digest.hexdigest()
                    yield Batch(records, letters, msgspec.structs.replace(position))
                    records, letters, size = [], [], 0
            position.is_complete = True
        except READ_ERRORS as error:
            broken = self._broken(error, position.objects)
        if self.text.stray_chunks:
            self.warnings.append(
                f"{self.name} holds bytes that are not UTF-8, first at byte {self.text.stray_at}: read as Windows-1251"
            )
        header = self._header()
        if header is None and broken is None:
            raise OperatorError(
                f"{self.name} has no array at {self.array.removesuffix('.item') or 'its top'}",
                hint="set SVOD_SHOP_B_ARRAY to the path of the array, with .item at its end",
            )
        position.digest = digest.hexdigest()
        yield Batch(records, letters, position, header)
        if broken:
            raise broken

    def _header(self) -> bytes | None:
        tail = b"".join(self.text.recent)
        with DocumentText(self.path, self.charset) as head:
            try:
                header = header_of(head, self.array, tail)
            except READ_ERRORS:
                return None
        return None if header is None else encoder.encode(header)

    def _objects(self) -> Iterator[tuple[int, bytes, bool]]:
        with DocumentText(self.path, self.charset) as self.text:
            for number, value in enumerate(ijson.items(self.text, self.array, buf_size=CHUNK_BYTES), 1):
                yield number, encoder.encode(value), isinstance(value, dict)
                self.text.forget()

    def _continues(self, landed: Position) -> bool:
        digest = hashlib.blake2b(digest_size=16)
        try:
            for number, payload, _ in self._objects():
                digest.update(payload)
                if number == landed.objects:
                    return digest.hexdigest() == landed.digest
        except READ_ERRORS:
            pass
        return False

    def _broken(self, error: Exception, objects: int) -> BrokenDocument:
        is_cut_off = isinstance(error, EOFError) or "premature EOF" in str(error)
        what = (
            "is cut off" if is_cut_off else "stops being JSON" if isinstance(error, ijson.JSONError) else "is damaged"
        )
        near = "at byte" if is_cut_off else "before byte"
        return BrokenDocument(
            f"{self.name} {what} {near} {self.text.bytes_read} (decompressed), after {objects} objects",
            hint="the objects before that are landed; copy the file anew, the next run goes on after them",
        )


def land_json_file(
    connection: duckdb.DuckDBPyConnection,
    file: JSONFile,
    table: str,
    step: journal.Step,
    *,
    is_full: bool = False,
    on_progress: Callable[[int], None] = lambda disk_position: None,
) -> None:
    """Append the objects of a document to raw.<table> and its other keys to raw.shop_b__files.

    Rows and position go in one transaction a batch, so a killed run goes on where it was. A file that is landed whole
    and looks unchanged on disk is skipped; `is_full` reads it all the same, and lands it anew if its objects differ.
    `on_progress` is told the bytes of the file on disk that are read.
    Raises BrokenDocument when the document ends too early: what it held is landed.
    """
    kept = journal.watermark(connection, file.name)
    landed = msgspec.json.decode(kept, type=Position) if kept else Position()
    status = file.path.stat()
    if not is_full and landed.is_complete and (landed.size, landed.modified_ns) == (status.st_size, status.st_mtime_ns):
        return
    objects = raw.raw_table(connection, table, "Objects of JSON documents as they came, one row each.")
    files = raw.raw_table(connection, "shop_b__files", "JSON documents without their array of objects, one row each.")
    for batch in raw.read_ahead(file.batches(landed)):
        with raw.transaction(connection):
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
        on_progress(file.text.disk_position)
