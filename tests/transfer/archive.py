"""Makes backups in the vendor's format: one tar stream, cut by size into gzip parts with an extra field.

As its `CTar` writes them: each part begins with an empty member that carries the extra field; members with data follow,
one each time the archiver went on; tar headers have no magic, blocks of 512 bytes, no end mark.
"""

import random
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

EMPTY = (
    bytes.fromhex("1f8b0804000000000003") + b"\x0a\x00" + b"\x00\x00\x00\x00BX0000" + bytes.fromhex("000000ffff0300")
)
NAME = "20261130_120000_full_3f1c9a.tar.gz"


def tar_header(name: str, size: int) -> bytes:
    fields = struct.pack("100s8s8s8s12s12s", name.encode(), b"644", b"0", b"0", b"%o" % size, b"%o" % 1_790_000_000)
    rest = struct.pack("1s100s6s2s32s32s8s8s155s12x", b"0", b"", b"", b"", b"", b"", b"", b"", b"")
    checksum = sum(fields) + 8 * ord(" ") + sum(rest)
    return fields + struct.pack("8s", b"%o" % checksum) + rest


def tar_stream(files: Mapping[str, bytes]) -> bytes:
    """A tar without an end mark."""
    return b"".join(tar_header(name, len(body)) + body + bytes(-len(body) % 512) for name, body in files.items())


def member(data: bytes) -> bytes:
    packer = zlib.compressobj(6, wbits=31)
    return packer.compress(data) + packer.flush()


def part(data: bytes, last_number: int | None = None, *, members: int = 2) -> bytes:
    """One part of these unpacked bytes, in so many members; `last_number` goes into the first part of several."""
    head = bytearray(EMPTY + bytes(8))
    head[18:22] = struct.pack("<I", len(data))
    if last_number is not None:
        head[12:16] = b"LN" + struct.pack("<H", last_number)
    step = -(-len(data) // members) or 1
    return bytes(head) + b"".join(member(data[at : at + step]) for at in range(0, len(data), step))


def some_files(size: int, seed: int = 1, largest: int = 60_000) -> dict[str, bytes]:
    """Files of about so many bytes in all, half of them compressible."""
    dice, files, made = random.Random(seed), {}, 0
    while made < size:
        length = dice.randint(1, largest)
        body = dice.randbytes(length) if dice.random() < 0.5 else (b"%d;" % dice.randrange(1000) * length)[:length]
        files[f"bitrix/backup/{len(files)}.dat"] = body
        made += length
    return files


def parts_of(stream: bytes, part_size: int, name: str = NAME, *, tells_last: bool = True) -> dict[str, bytes]:
    """A stream cut into parts of so many unpacked bytes, by file name."""
    cut = [stream[at : at + part_size] for at in range(0, len(stream), part_size)]
    last = len(cut) - 1 if len(cut) > 1 and tells_last else None
    return {
        f"{name}.{number}" if number else name: part(data, last if number == 0 else None)
        for number, data in enumerate(cut)
    }


def backup(parts: int = 4, part_size: int = 128 * 512, seed: int = 1, name: str = NAME) -> dict[str, bytes]:
    """A backup of so many parts: bytes by file name, in order."""
    stream = tar_stream(some_files(parts * part_size, seed))
    size = part_size * (parts - 1) + part_size // 2  # the last one is smaller
    whole, at = b"", 0
    while at + 512 <= len(stream):  # up to the end of the last file that fits
        length = int(stream[at + 124 : at + 136].strip(b"\0") or b"0", 8)
        end = at + 512 + -(-length // 512) * 512
        if end > size:
            break
        at = end
    whole = stream[:at]
    return parts_of(whole, part_size, name)


def write(folder: Path, parts: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in parts.items():
        (folder / name).write_bytes(data)
