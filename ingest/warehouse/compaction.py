"""Gives the space of what was deleted back, and its bytes with it.

DuckDB marks blocks as free and writes into them later; the file keeps its size, and what was deleted can be read in it.
So everything that is there is copied to a new file, which takes the old one's place.
"""

import os
import shutil
import stat
from pathlib import Path

import duckdb

from ingest.warehouse import journal, retention, storage
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError

WORTH_IT = 0.25  # of the blocks, or of the rows: below that the next runs write into what is free
STEP = "compaction"


def is_worth_it(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether much of the file is empty: blocks that hold nothing, or, as a block with one row left in it is none of
    these, rows that retention let go since the file was last written anew."""
    connection.execute("checkpoint")
    ((total, free),) = connection.execute(
        "select total_blocks, free_blocks from pragma_database_size() where database_name = current_database()"
    ).fetchall()
    ((left, gone),) = connection.execute(
        """select
               (select coalesce(sum(estimated_size), 0) from duckdb_tables() where schema_name = 'raw'),
               (select coalesce(sum(rows_out), 0) from ops.steps where step = ? and started_at > coalesce(
                   (select max(started_at) from ops.steps where step = ?), '-infinity'))""",
        [retention.STEP, STEP],
    ).fetchall()
    return bool(free > WORTH_IT * total or gone > WORTH_IT * (left + gone))


def rewrite(warehouse: Path) -> int:
    """Put a new file with all that the warehouse holds in its place; how many bytes fewer it has.

    The run's lock has to be held. Killed at any moment, it leaves the old file or the new one, whole. Raises
    WarehouseBusy when somebody has it open, OperatorError when there is no room for both.
    """
    new = warehouse.with_name(f"{warehouse.name}.rewritten")
    size = warehouse.stat().st_size
    connection = open_warehouse(warehouse)  # nobody else may write until the new one is there
    try:
        _remove(new)
        shutil.rmtree(warehouse.with_name(f"{warehouse.name}.tmp"), ignore_errors=True)  # what a killed step spilled
        with journal.step(connection, STEP):
            pass  # the new file is to know of it
        connection.execute("checkpoint")
        ((name,),) = connection.execute("select current_database()").fetchall()
        storage.attach(connection, new, "rewritten")
        connection.execute(f'copy from database "{name}" to rewritten')
        connection.execute("detach rewritten")
        new.chmod(stat.S_IMODE(warehouse.stat().st_mode))
        _to_disk(new)
        new.replace(warehouse)
        _to_disk(warehouse.parent)
    except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
        _remove(new)
        raise OperatorError(
            f"{warehouse} cannot be written anew: {str(error).splitlines()[0]}",
            hint="is there room beside it for as much again? What was deleted is gone from all tables; run it again",
        ) from None
    finally:
        connection.close()
    return size - warehouse.stat().st_size


def _remove(file: Path) -> None:
    for path in (file, file.with_name(f"{file.name}.wal")):
        path.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
