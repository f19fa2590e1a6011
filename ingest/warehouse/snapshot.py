"""The copy that is read while a step holds the warehouse: `<warehouse>.snapshot`, beside it.

DuckDB lets nobody read a file that another process writes, and a first sync takes hours.
"""

import os
import subprocess
import sys
from pathlib import Path

import duckdb

from ingest.warehouse import block_copy, masking, private, storage
from ingest.warehouse.errors import OperatorError

# Programs of their own: with a file that this process closed, DuckDB's lock on it would be gone (fcntl(2)). Where the
# file system can, the copy shares its blocks and takes no time; else the blocks in use are copied; else, all of it.
SHARE = ("/bin/cp", "--reflink=always", "--no-target-directory")
COPY_USED = (sys.executable, "-m", block_copy.__name__)
COPY = ("/bin/cp", "--reflink=auto", "--no-target-directory")


def snapshot_path(warehouse: Path) -> Path:
    """Where the copy is."""
    return warehouse.with_name(f"{warehouse.name}.snapshot")


def is_outdated(warehouse: Path) -> bool:
    """Whether there is no copy, or the warehouse was written to since it was made."""
    copy = snapshot_path(warehouse)
    return not copy.exists() or not warehouse.exists() or copy.stat().st_mtime < warehouse.stat().st_mtime


def confirm_snapshot(warehouse: Path) -> None:
    """Have the copy count as one of now: nothing that is read there has changed since it was made."""
    copy = snapshot_path(warehouse)
    if copy.exists():
        os.utime(copy)


def make_snapshot(warehouse: Path, readers_group: str = "", *, mask: bool = False) -> bool:
    """Copy the warehouse; whoever reads the copy of before keeps reading that. False when somebody writes to it now.

    The copy is for whoever may read the warehouse, and for `readers_group`, which with `mask` is given a masked one.
    Raises OperatorError when there is no room, no such group, or a warehouse that cannot be read.
    """
    try:
        reader = duckdb.connect(
            str(warehouse.absolute()), read_only=True
        )  # it keeps writers out until the copy is whole
    except duckdb.Error as error:
        if storage.is_held(error):
            return False
        raise storage.told(error, warehouse) or error from None
    copy = snapshot_path(warehouse)
    new = copy.with_name(f"{copy.name}.new")
    private.keep_new_files_private()
    with reader:
        if storage.is_cut_off(reader, warehouse):  # the copy so far is worth more
            raise storage.damaged(warehouse)
        new.unlink(missing_ok=True)  # a copy whose program was killed may still be written
        copied = _copy(reader, warehouse, new)
    if copied.returncode:
        new.unlink(missing_ok=True)
        problem = f"the copy for readers cannot be made: {copied.stderr.strip().rpartition(': ')[2]}"
        raise OperatorError(
            f"{problem}, {storage.free_at(warehouse)} free there",
            hint=f"is there room beside {warehouse} for as much again?",
        )
    if readers_group and not mask:
        try:
            private.give_to_readers(new, readers_group)
        except OperatorError:
            new.unlink()
            raise
    new.replace(copy)
    if mask:
        try:
            masking.make_masked(warehouse, copy, readers_group)
        except duckdb.Error as error:
            raise storage.told(error, masking.masked_path(warehouse)) or error from None
    else:
        masking.masked_path(warehouse).unlink(missing_ok=True)
    return True


def _copy(reader: duckdb.DuckDBPyConnection, warehouse: Path, new: Path) -> "subprocess.CompletedProcess[str]":
    ((free,),) = reader.execute(
        "select free_blocks from pragma_database_size() where database_name = current_database()"
    ).fetchall()
    copied = subprocess.run([*SHARE, warehouse, new], capture_output=True, text=True)
    if copied.returncode:
        copied = subprocess.run([*COPY_USED, warehouse, new, str(free)], capture_output=True, text=True)
    if copied.returncode == block_copy.UNKNOWN:
        copied = subprocess.run([*COPY, warehouse, new], capture_output=True, text=True)
    return copied
