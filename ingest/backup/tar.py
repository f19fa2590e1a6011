"""Where the entries of a tar stream begin within one part of it, so that parts can be proven to follow each other.

A part begins anywhere in a file's body. The first block that is a header by its checksum is taken for the first entry,
which a tar inside that body can feign; `order` therefore looks again where two parts do not seem to fit.
"""

from contextlib import suppress

BLOCK = 512
_WITHOUT_BODY = b"123456"  # links, devices, folders


class TarScan:
    """Follows the entries of a part as it is unpacked, from a known place or from the first header it finds."""

    def __init__(self, starts_at: int | None = None) -> None:
        self.first_entry: int | None = None  # offset in the part; None: not found
        self.is_lost = False  # an entry was not followed by another: made so, for its bytes are proven elsewhere
        self._is_sure = starts_at is not None
        self._next = starts_at or 0  # the block to look at next
        self._size = 0
        self._held = b""  # from _next on, less than a block

    def feed(self, text: bytes) -> None:
        """Take the next unpacked bytes."""
        begin, buffer = self._size - len(self._held), self._held + text
        self._size += len(text)
        while self._next + BLOCK <= self._size:
            at = self._next - begin
            self._next += self._look_at(buffer[at : at + BLOCK])
        self._held = buffer[self._next - begin :] if self._next < self._size else b""

    @property
    def overhang(self) -> int | None:
        """Bytes of the last entry that are in the parts after this one; None: no entry was found, or half a block."""
        return self._next - self._size if self.first_entry is not None and not self._held else None

    def _look_at(self, block: bytes) -> int:
        """How far it is to the next block to look at."""
        size = entry_size(block)
        if size is None and self._is_sure and not any(block):  # the end mark, or what fills up after it
            size = 0
        if size is None:
            self.is_lost |= self.first_entry is not None
            self._is_sure = False
            return BLOCK
        if self.first_entry is None and not self.is_lost:
            self.first_entry = self._next
        self._is_sure = True
        return BLOCK + -(-size // BLOCK) * BLOCK


def entry_size(block: bytes) -> int | None:
    """Bytes of the entry whose header this block is; None when it is no header, by its checksum (POSIX ustar)."""
    digits = block[148:156].strip(b"\0 ")
    if not digits.isdigit():
        return None
    with suppress(ValueError):
        if int(digits, 8) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
            return None
        if block[156:157] in _WITHOUT_BODY and block[156]:
            return 0
        field = block[124:136]
        return int.from_bytes(field[1:], "big") if field[0] & 0x80 else int(field.strip(b"\0 ") or b"0", 8)
    return None
