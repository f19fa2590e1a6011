"""Proves one part while its bytes come in: each gzip member by CRC32 and length (RFC 1952), the whole by its header.

The vendor's archiver (`CTar` of its module main) begins each part with an empty member whose extra field, 10 bytes,
holds at 12 `LN` and uint16le, the number of the last part (the first part of newer versions, zeros elsewhere), at 16
`BX`, at 18 uint32le the part's unpacked size; the members with data follow, one for every time it went on.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ingest.backup.links import PartName
from ingest.backup.tar import TarScan

HEADER_BYTES = 22
READ_BYTES = 1 << 20
_UNPACK_BYTES = 1 << 20  # at a time, whatever a member would unpack to
_GZIP = b"\x1f\x8b\x08"


class Broken(Exception):
    """The bytes are not those of a sound part; the text says why."""


class Truncated(Broken):
    """What is there is sound and not all."""


@dataclass(frozen=True)
class Header:
    """What the first 22 bytes tell: unpacked size and number of the last part, where they are told."""

    unpacked_size: int | None
    last_number: int | None


@dataclass(frozen=True)
class Proven:
    """A part whose bytes are sound. Sizes in bytes; `first_entry` and `overhang` as in TarScan."""

    name: PartName
    size: int
    unpacked_size: int
    sha256: str
    header: Header
    first_entry: int | None
    overhang: int | None
    is_lost: bool

    @property
    def proof(self) -> str:
        """What was proven of it by itself, as transfer.parts has it."""
        return "crc" if self.header.unpacked_size is None else "crc, size"


class PartProof:
    """The proof of one part, fed with its bytes in their order. Memory does not depend on its size."""

    def __init__(self, name: PartName, entries_start_at: int | None = None) -> None:
        self.name, self.size, self.unpacked_size = name, 0, 0
        self.header: Header | None = None
        self._head = b""
        self._sha256 = hashlib.sha256()
        self._member = zlib.decompressobj(wbits=31)
        self._is_between_members = True
        self._scan = None if name.is_encrypted else TarScan(entries_start_at)

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises Broken as soon as they cannot be a part's."""
        self.size += len(data)
        self._sha256.update(data)
        if self.header is None:
            self._read_head(data)
        try:
            self._unpack(data)
        except zlib.error as error:
            reason = str(error).rpartition(": ")[2]
            raise Broken(f"no sound gzip before byte {self.size} ({reason})") from None
        declared = self.header.unpacked_size if self.header else None
        if declared is not None and self.unpacked_size > declared:
            raise Broken(f"unpacks to more than the {declared} bytes its header tells of")

    def finish(self) -> Proven:
        """There are no more bytes. Raises Truncated when there should be."""
        if self.header is None or not self._is_between_members:
            raise Truncated(f"ends in the middle, at byte {self.size}")
        declared = self.header.unpacked_size
        if declared is not None and self.unpacked_size != declared:
            raise Truncated(f"unpacks to {self.unpacked_size} bytes, its header tells of {declared}")
        first, overhang, is_lost = None, None, False
        if self._scan:
            first, overhang, is_lost = self._scan.first_entry, self._scan.overhang, self._scan.is_lost
        return Proven(
            self.name, self.size, self.unpacked_size, self._sha256.hexdigest(), self.header, first, overhang, is_lost
        )

    def feed_file(self, path: Path, on_bytes: Callable[[int], None] = lambda number: None) -> None:
        """Take all bytes of a file."""
        with path.open("rb") as file:
            while data := file.read(READ_BYTES):
                self.feed(data)
                on_bytes(len(data))

    def _read_head(self, data: bytes) -> None:
        self._head += data[: HEADER_BYTES - len(self._head)]
        if not _GZIP.startswith(self._head[: len(_GZIP)]):
            raise Broken("is no gzip file")
        if len(self._head) == HEADER_BYTES:
            self.header = read_header(self._head)

    def _unpack(self, data: bytes) -> None:
        is_more = bool(data)
        while is_more:
            text = self._member.decompress(data, _UNPACK_BYTES)
            self._is_between_members = self._member.eof
            self.unpacked_size += len(text)
            if self._scan:
                self._scan.feed(text)
            if self._member.eof:
                data = self._member.unused_data
                self._member = zlib.decompressobj(wbits=31)
                is_more = bool(data)
            else:
                data = self._member.unconsumed_tail
                is_more = bool(data) or len(text) == _UNPACK_BYTES


def read_header(head: bytes) -> Header:
    """Read the first 22 bytes of a part; a gzip file that others made tells neither."""
    flags, extra_length = head[3], int.from_bytes(head[10:12], "little")
    if not flags & 4 or extra_length != 10 or head[16:18] != b"BX":
        return Header(None, None)
    (size,) = struct.unpack("<I", head[18:22])
    return Header(size, struct.unpack("<H", head[14:16])[0] if head[12:14] == b"LN" else None)
