"""The copy that is read while a step holds the warehouse: `<warehouse>.snapshot`, beside it.

DuckDB lets nobody read a file that another process writes, and a first sync takes hours.
"""

import subprocess
from pathlib import Path

import duckdb

from ingest.warehouse.errors import OperatorError

# Not shutil: where the file system can, the copy shares its blocks and takes no time.
COPY = ("/bin/cp", "--reflink=auto", "--no-target-directory")


def snapshot_path(warehouse: Path) -> Path:
    """Where the copy is."""
    return warehouse.with_name(f"{warehouse.name}.snapshot")


def is_outdated(warehouse: Path) -> bool:
    """Whether there is no copy, or the warehouse was written to since it was made."""
    copy = snapshot_path(warehouse)
    return not copy.exists() or copy.stat().st_mtime < warehouse.stat().st_mtime


def make_snapshot(warehouse: Path) -> bool:
    """Copy the warehouse; whoever reads the copy of before keeps reading that. False when somebody writes to it now.

    Raises OperatorError when there is no room.
    """
    try:
        reader = duckdb.connect(str(warehouse), read_only=True)  # it keeps writers out until the copy is whole
    except duckdb.IOException:
        return False
    copy = snapshot_path(warehouse)
    new = copy.with_name(f"{copy.name}.new")
    with reader:
        copied = subprocess.run([*COPY, warehouse, new], capture_output=True, text=True)
    if copied.returncode:
        new.unlink(missing_ok=True)
        raise OperatorError(
            f"the copy for readers cannot be made: {copied.stderr.strip().rpartition(': ')[2]}",
            hint=f"is there room beside {warehouse} for as much again?",
        )
    new.replace(copy)
    return True
