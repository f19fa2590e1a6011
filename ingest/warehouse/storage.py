"""What the disk, or the file that the warehouse is, does not let DuckDB do: told to the operator in a line and a hint.

DuckDB says it in several of its exceptions, some of them about a transaction or about nothing in particular, so the
texts decide. What is none of this is an error of ours.
"""

import errno
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import duckdb

from ingest.warehouse.block_copy import HEADERS
from ingest.warehouse.errors import OperatorError, SettingsError

_FULL = re.compile("No space left on device|Disk quota exceeded|File too large|max_temp_directory_size")
_OTHER = re.compile("not a valid DuckDB database file|launch in-memory database|download extension")
_DAMAGED = re.compile(
    "Corrupt database file|Could not read enough bytes|[Dd]eserializ"
    "|checksum|Error while replaying WAL|Failure while replaying WAL"
)
_OTHERS_LOG = re.compile("WAL checkpoint iteration does not match|WAL does not match database file")
_NEWER = re.compile("version number|newer version|storage version", re.IGNORECASE)
_HEAD = ("/usr/bin/head", "-c", f"{HEADERS}")
_VERSION = "v1.4.0"  # analysts' shells and notebooks lag behind the library
_ROW_GROUP = 30_720  # rows: DuckDB's own 122,880 are as many as a whole table here, and one core works on a group
_GROUPS = f"row_group_size {_ROW_GROUP}"
LAYOUT = f"storage_version '{_VERSION}', {_GROUPS}"
_KEEPS_ITS_VERSION = "cannot be lowered"
_HELD = re.compile("Could not set lock on file|Conflicting lock is held")
_FILE = re.compile('file "([^"]+)"')
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def attach(connection: duckdb.DuckDBPyConnection, file: Path, name: str, options: str = LAYOUT) -> None:
    """Have a connection know a file by a name, as it is written by us unless told otherwise. How many rows a group of
    them has is an option of `attach` alone. One that a shell wrote in a newer format keeps it. Raises duckdb.Error."""
    text = str(file.absolute()).replace("'", "''")
    try:
        connection.execute(f"attach if not exists '{text}' as {name} ({options})")
    except duckdb.InvalidInputException as error:
        if options != LAYOUT or _KEEPS_ITS_VERSION not in str(error):
            raise
        connection.execute(f"attach if not exists '{text}' as {name} ({_GROUPS})")


def is_held(error: duckdb.Error) -> bool:
    """Whether DuckDB could not open a file because another process has it open."""
    return bool(_HELD.search(str(error)))


def holder(error: duckdb.Error) -> str:
    """Which process has the file open, as a person would look for it: its number, its program and whose it is."""
    named = re.search(r"PID (\d+)", str(error))
    if not named:
        return "another process"
    process = Path("/proc") / named[1]
    try:
        told = f"{(process / 'comm').read_text(encoding='utf-8').strip()}, {process.owner()}"
    except (OSError, KeyError):
        return f"process {named[1]}"
    return f"process {named[1]} ({told})"


def is_only_read(file: Path) -> bool:
    """Whether all who hold the file only read it: a step may wait for them. By the kernel's list of locks, proc(5)."""
    try:
        status = file.stat()
        locks = [line.split() for line in Path("/proc/locks").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return False
    inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    kinds = {lock[3] for lock in locks if len(lock) > 5 and lock[1] == "POSIX" and lock[5] == inode}
    return kinds == {"READ"}


def is_full(text: str) -> bool:
    """Whether DuckDB says that the disk has no more room, or lets the file grow no more."""
    return bool(_FULL.search(text))


def told(error: BaseException, warehouse: Path | None = None) -> OperatorError | None:
    """The error that the operator can act on, None for every other. `warehouse` is named where DuckDB names no file."""
    if isinstance(error, OSError):
        return _of_the_system(error)
    return told_of([str(error)], warehouse) if isinstance(error, duckdb.Error) else None


def told_of(texts: Iterable[str], warehouse: Path | None = None) -> OperatorError | None:
    """The same by what DuckDB wrote: the first of these texts that tells of the disk or of the file."""
    for text in texts:
        named = _FILE.search(text)
        file = Path(named[1]) if named else warehouse
        if is_full(text):
            return _no_room(file)
        if "Out of Memory" in text:
            return OperatorError(
                f"DuckDB ran out of memory{f' for {warehouse}' if warehouse else ''}",
                hint="let it have more: end what else runs on this machine; the next run goes on from here",
            )
        if _OTHERS_LOG.search(text):
            return _not_its_log(file or warehouse)
        if _NEWER.search(text):
            return OperatorError(
                f"{file or 'the warehouse'} was written by a newer DuckDB than {duckdb.__version__}",
                hint="bring Svod up to date (`make setup`), or put the file of before in its place",
            )
        if _OTHER.search(text):
            return no_warehouse(file or warehouse)
        if _DAMAGED.search(text):
            return damaged(file or warehouse)
        if "IO Error" in text:
            return OperatorError(
                f"{file or 'the warehouse'}: {text.splitlines()[0]}", hint="check the path, its rights and its disk"
            )
    return None


def no_warehouse(file: Path | None) -> SettingsError:
    """A file of something else: a text, a table, another program's database."""
    return SettingsError(
        f"{file or 'the warehouse'} is no DuckDB file",
        hint="SVOD_WAREHOUSE names a DuckDB file, or one that is not there yet",
    )


def is_cut_off(connection: duckdb.DuckDBPyConnection, file: Path) -> bool:
    """Whether the file, just opened, lacks blocks that are in use: who reads none of them would write on behind.

    Its header counts all blocks; at the end there may be free ones that were never written. The header is read by
    another program: with a file that this one has closed, DuckDB's lock on it would be gone (fcntl(2)). Two headers
    take turns; the layout is that of https://duckdb.org/docs/internals/storage.
    """
    headers = subprocess.run([*_HEAD, file], capture_output=True, check=False).stdout
    if len(headers) < HEADERS:
        return True
    fields = (struct.unpack_from("<8Q", headers, at) for at in (4096, 8192))
    _, _, _, _, blocks, block_bytes, _, _ = max(fields, key=lambda of_header: of_header[1])
    ((free,),) = connection.execute(
        "select free_blocks from pragma_database_size() where database_name = current_database()"
    ).fetchall()
    return bool(file.stat().st_size < HEADERS + (blocks - free) * block_bytes)


def damaged(file: Path | None) -> OperatorError:
    """A file that DuckDB cannot read."""
    return OperatorError(
        f"{file or 'the warehouse'} is damaged: DuckDB cannot read it",
        hint="put a backup of it in its place, or the copy for readers beside it (.snapshot); what the portals have "
        "had since then is found again there",
    )


def _not_its_log(log: Path | None) -> OperatorError:
    """A killed program leaves what it had written last in a log beside the file; a copy put in the file's place knows
    nothing of that."""
    return OperatorError(
        f"{log or 'the log'} is not the log of the warehouse beside it: was that put back from a copy?",
        hint=f"if so, take it away and start again: mv {log} {log}.old" if log else "if so, take the .wal file away",
    )


def _no_room(file: Path | None) -> OperatorError:
    if file is None:
        return OperatorError("the disk is full", hint=_ROOM)
    return OperatorError(f"the disk is full: {file} cannot grow, {free_at(file)} free there", hint=_ROOM)


_ROOM = "make room and run the same command again: what was landed or published before stays"


def free_at(file: Path) -> str:
    """How much is free where a file is, or would be."""
    folder = next((folder for folder in file.absolute().parents if folder.is_dir()), Path("/"))
    return f"{shutil.disk_usage(folder).free / 1e6:,.1f} MB"


def _of_the_system(error: OSError) -> OperatorError | None:
    file = Path(str(error.filename)) if error.filename else None
    if error.errno in _OF_THE_DISK:
        return _no_room(file)
    if file is None or error.strerror is None:
        return None
    return OperatorError(f"{file}: {error.strerror}", hint="check the path, its owner and its rights")
