"""The copy that is read while a step holds the warehouse: `<warehouse>.snapshot`, beside it.

DuckDB lets nobody read a file that another process writes, and a first sync takes hours.
"""

import os
import subprocess
from pathlib import Path

import duckdb

from ingest.warehouse import private, storage
from ingest.warehouse.errors import OperatorError

# Not shutil: where the file system can, the copy shares its blocks and takes no time.
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


def make_snapshot(warehouse: Path, readers_group: str = "") -> bool:
    """Copy the warehouse; whoever reads the copy of before keeps reading that. False when somebody writes to it now.

    The copy is for whoever may read the warehouse, and for `readers_group`. Raises OperatorError when there is no room,
    no such group, or a warehouse that cannot be read.
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
        copied = subprocess.run([*COPY, warehouse, new], capture_output=True, text=True)
    if copied.returncode:
        new.unlink(missing_ok=True)
        problem = f"the copy for readers cannot be made: {copied.stderr.strip().rpartition(': ')[2]}"
        raise OperatorError(
            f"{problem}, {storage.free_at(warehouse)} free there",
            hint=f"is there room beside {warehouse} for as much again?",
        )
    if readers_group:
        try:
            private.give_to_readers(new, readers_group)
        except OperatorError:
            new.unlink()
            raise
    new.replace(copy)
    return True
