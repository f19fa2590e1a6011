"""`python -m ingest.warehouse.block_copy FILE COPY FREE`: copies a DuckDB file without the blocks that nothing is in.

A third of a warehouse are blocks of tables that were built anew since; in the copy there are holes. Which those are the
file's list of free blocks says: the header names its first piece, a piece is a sixty-fourth of a block and names the
next one (https://duckdb.org/docs/internals/storage, `MetadataReader` and `LoadFreeList` of DuckDB). FREE is how many
DuckDB knows of: where the list has another number it was misread, and the program ends with UNKNOWN, having written
nothing. It is a program of its own, for a process that closes the file loses DuckDB's lock on it (fcntl(2)).
"""

import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

UNKNOWN = 3
HEADERS = 3 * 4096  # bytes before the first block
_PIECES = 64  # of a block of metadata
_NONE = (1 << 64) - 1
_LONGEST, _LARGEST = 1 << 24, 1 << 60  # bytes of a block and of a file, far beyond what there is


def free_blocks(file: int) -> tuple[set[int], int, int]:
    """The free blocks of an open file, how many blocks there are, and how long one is. Raises ValueError, IndexError
    or struct.error for a file that is laid out otherwise."""
    headers = (struct.unpack("<8Q", os.pread(file, 64, at)) for at in (4096, 8192))
    _, _, _, first, blocks, length, _, _ = max(headers, key=lambda header: header[1])
    if not _PIECES * 16 <= length <= _LONGEST or blocks * length > _LARGEST:
        raise ValueError("no file has such blocks")
    stream = b"".join(_pieces(file, first, blocks, length))
    (number,) = struct.unpack_from("<Q", stream)
    free = set(struct.unpack_from(f"<{number}Q", stream, 8))
    if free and max(free) >= blocks:
        raise ValueError("a block beyond the last one")
    return free, blocks, length


def _pieces(file: int, pointer: int, blocks: int, length: int) -> Iterator[bytes]:
    size = (length - 8) // _PIECES // 8 * 8
    seen: set[int] = set()
    while pointer != _NONE:
        block, piece = pointer & ((1 << 56) - 1), pointer >> 56
        if block >= blocks or piece >= _PIECES or pointer in seen:
            raise ValueError("no piece of metadata")
        seen.add(pointer)
        content = os.pread(file, size, HEADERS + block * length + 8 + piece * size)
        (pointer,) = struct.unpack_from("<Q", content)
        yield content[8:]


def used_ranges(free: set[int], blocks: int, length: int) -> Iterator[tuple[int, int]]:
    """From where to where the file is in use, the headers first."""
    begin = 0
    for block in sorted(free):
        end = HEADERS + block * length
        if end > begin:
            yield begin, end
        begin = end + length
    end = HEADERS + blocks * length
    if end > begin:
        yield begin, end


def main(source: str, target: str, expected: str) -> int:
    """The exit status. Raises OSError."""
    file = os.open(source, os.O_RDONLY)
    try:
        free, blocks, length = free_blocks(file)
    except (ValueError, IndexError, struct.error):
        return UNKNOWN
    if len(free) != int(expected):
        return UNKNOWN
    size = os.fstat(file).st_size
    copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.ftruncate(copy, size)
    for begin, end in used_ranges(free, blocks, length):
        at, end = begin, min(end, size)
        while at < end:
            copied = os.copy_file_range(file, copy, end - at, at, at)
            if not copied:
                break
            at += copied
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except OSError as error:
        sys.exit(f"{Path(sys.argv[2])}: {error.strerror}")
