"""The folder of parts: what is whole, what is partly there and of which version, and whether there is room.

`NAME` is a part that was proven before it got that name, or one that a person put there. `NAME.part` are its first
bytes; `NAME.part.version` tells of which version of the object they are, and was written before them.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from ingest.backup.links import PartName
from ingest.warehouse.errors import OperatorError

SPARE_BYTES = 256 << 20  # left free for whoever else writes there
_MOVED = ".moved"


class Version(msgspec.Struct, frozen=True):
    """What the storage says of an object: its ETag ('' when it tells none) and its size in bytes (None: not told)."""

    etag: str = ""
    size: int | None = None


class PartFile:
    """A part's places in the folder."""

    def __init__(self, folder: Path, name: PartName) -> None:
        self.whole = folder / str(name)
        self.partial = folder / f"{name}.part"
        self._version = folder / f"{name}.part.version"

    @property
    def is_begun(self) -> bool:
        """Whether anything of it is there."""
        return self.whole.exists() or self.partial.exists()

    @property
    def size(self) -> int:
        """Bytes that are there, all of it or a piece."""
        return next((path.stat().st_size for path in (self.whole, self.partial) if path.exists()), 0)

    def version(self) -> Version:
        """The version that the bytes in `partial` are of; nothing is known of a file that a person cut short."""
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._version.read_bytes(), type=Version)
        return Version()

    def remember(self, version: Version) -> None:
        """Say what the bytes are of, before they are written. A kill leaves this as it was, or whole."""
        new = self._version.with_name(f"{self._version.name}.new")
        new.write_bytes(msgspec.json.encode(version))
        new.replace(self._version)

    def append(self) -> BinaryIO:
        """Open for more bytes; each write goes to the system at once, so that a kill loses none."""
        return self.partial.open("ab", buffering=0)

    def drop(self) -> None:
        """Forget what is partly there."""
        self._version.unlink(missing_ok=True)
        self.partial.unlink(missing_ok=True)

    def cut(self) -> None:
        """The whole file turned out to be the beginning of one: go on with it."""
        self._version.unlink(missing_ok=True)
        self.whole.replace(self.partial)

    def complete(self) -> None:
        """It is all there and proven: on the disk, then under its name."""
        with self.partial.open("rb") as file:
            os.fsync(file.fileno())
        self.partial.replace(self.whole)
        sync_folder(self.whole.parent)
        self._version.unlink(missing_ok=True)


def names_in(folder: Path) -> Iterator[PartName]:
    """The parts that are whole, or partly there."""
    for path in folder.iterdir():
        if name := PartName.of(path.name.removesuffix(".part")):
            yield name


def sync_folder(folder: Path) -> None:
    """What was renamed in a folder outlives a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_room(folder: Path, wanted: int) -> None:
    """Raise OperatorError when so many bytes would not fit."""
    free = shutil.disk_usage(folder).free
    if wanted and wanted + SPARE_BYTES > free:
        raise OperatorError(
            f"{folder} has room for {_gigabytes(free)}, the parts need {_gigabytes(wanted + SPARE_BYTES)} more",
            hint="make room, or set SVOD_TRANSFER_PARTS to a folder on a larger disk; what is there goes on from there",
        )


@contextmanager
def disk_errors_told(folder: Path) -> Iterator[None]:
    """What the folder does not take is an OperatorError."""
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"{error.filename or folder} cannot be read or written: {error.strerror or type(error).__name__}",
            hint="is the disk full? check SVOD_TRANSFER_PARTS; the next run goes on from there",
        ) from None


def exchange(folder: Path, contents: Mapping[PartName, PartName]) -> None:
    """Give files the names that their contents have: right name -> the name it has now."""
    for now in contents.values():
        (folder / str(now)).replace(folder / f"{now}{_MOVED}")
    for right, now in contents.items():
        (folder / f"{now}{_MOVED}").replace(folder / str(right))
    sync_folder(folder)


def put_back(folder: Path) -> None:
    """Undo what a kill left of an exchange, where nothing has taken the name; a part that got none is fetched again."""
    for moved in folder.glob(f"*{_MOVED}"):
        before = moved.with_name(moved.name.removesuffix(_MOVED))
        if before.exists():
            moved.unlink()
        else:
            moved.replace(before)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
