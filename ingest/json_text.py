"""The text of a document as the parser wants it: UTF-8 from its first byte to its last, whatever the file holds."""

import codecs
import gzip
import io
import zlib
from collections import deque
from pathlib import Path

CHUNK_BYTES = 1 << 17
READ_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile)  # a damaged file, or one that is cut off
CHUNKS_MAPPED = 1024
GZIP_MAGIC = b"\x1f\x8b"
ASCII = bytes(range(128))


def windows_1251_bytes(error: UnicodeError) -> tuple[str, int]:
    """Read a byte that does not fit the charset as Windows-1251; the one byte undefined there (0x98) stays U+0098."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    byte = error.object[error.start : error.start + 1]
    return ("\x98" if byte == b"\x98" else byte.decode("cp1251")), error.start + 1


codecs.register_error("windows-1251-bytes", windows_1251_bytes)


class DocumentText:
    """The document as UTF-8 bytes without a BOM; remembers where they were in the file.

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
        self._text_size = 0
        self._starts: deque[tuple[int, int]] = deque(maxlen=CHUNKS_MAPPED)  # of chunks: offset in the text, in the file

    def __enter__(self) -> "DocumentText":
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.file.close()

    def read(self) -> bytes:
        """The next chunk, of any size but empty only at the end."""
        while True:
            data = self.stream.read(CHUNK_BYTES)
            self.disk_position = self.file.tell()
            has_mark = self.bytes_read == 0 and data.startswith(codecs.BOM_UTF8)
            self._starts.append((self._text_size, self.bytes_read - len(self.pending) + 3 * has_mark))
            text = self._as_utf8(data[3 * has_mark :])
            self.bytes_read += len(data)
            self._text_size += len(text)
            if text or not data:
                return text

    def file_offset(self, offset: int) -> int:
        """The byte of the file that became the one at `offset` of the text, in a file that is UTF-8."""
        for start, byte in reversed(self._starts):
            if start <= offset:
                return byte + offset - start
        return offset

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


def charset_of(data: bytes) -> str | None:
    """`utf-8` when most non-ASCII bytes form UTF-8 characters, of Windows-1251 text hardly any do; None without any."""
    text, end = codecs.utf_8_decode(data, "ignore", False)  # the last character may be cut off by the chunk's end
    seen, valid = (len(part.translate(None, ASCII)) for part in (data[:end], text.encode()))
    return None if not seen else "utf-8" if 2 * valid >= seen else "cp1251"
