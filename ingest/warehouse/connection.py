"""Opens the warehouse, brings its schemas up to date, and says so when another process holds it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import duckdb

from ingest.warehouse import private, running, storage
from ingest.warehouse.clock import duration
from ingest.warehouse.errors import OperatorError, WarehouseBusy
from ingest.warehouse.schema import ensure_schema, is_current
from ingest.warehouse.snapshot import snapshot_path
from ingest.warehouse.terminal import say_aside

PATIENCE_S = 5.0  # a step waits so long for another one that is about to end
PATIENCE_WITH_READERS_S = 30.0  # and so long for whoever only looks: `make plan`, a copy being made, a shell
SAY_AFTER_S = 3.0
LOOK_AGAIN_S = 0.1
_ATTACHED_AS = "warehouse"
_IN_TRANSACTION: set[int] = set()  # connections, by id


class Reading(NamedTuple):
    """A connection that reads, and what there is to say when it reads a copy ('' when it does not)."""

    connection: duckdb.DuckDBPyConnection
    note: str


def open_warehouse(path: Path, *, read_only: bool = False, patience: float = PATIENCE_S) -> duckdb.DuckDBPyConnection:
    """Open the DuckDB file, creating it (0600) and what `schema.sql` has when they are missing. Whoever opens it to
    write makes files for himself alone from then on, for DuckDB makes its log when it is first needed.

    Raises WarehouseBusy when another process holds the file (DuckDB allows one writer) and still does after `patience`
    seconds, longer where that only reads; OperatorError when the file is absent (read only), damaged, or cannot grow.
    """
    if read_only and not (path.exists() and path.stat().st_size):
        raise OperatorError(f"there is no warehouse at {path}", hint="run `make full` first, or set SVOD_WAREHOUSE")
    began_at, is_said = time.monotonic(), False
    while True:
        try:
            connection = _connect(path, read_only=read_only)
            break
        except WarehouseBusy as error:
            waited, is_read = time.monotonic() - began_at, storage.is_only_read(path)
            if waited > (PATIENCE_WITH_READERS_S if patience and is_read else patience):
                raise
            if waited > SAY_AFTER_S and is_read and not is_said:
                is_said = True
                say_aside(f"{error.problem}, which reads it: waiting for it, {PATIENCE_WITH_READERS_S:g} s at the most")
            time.sleep(LOOK_AGAIN_S)
    connection.execute("set timezone = 'UTC'")
    if storage.is_cut_off(connection, path):
        connection.close()
        raise storage.damaged(path)
    if not read_only:
        ensure_schema(connection)
    return connection


def open_for_reading(path: Path) -> Reading:
    """Open the warehouse to read, or the copy of it while a step or a run goes on, which is not to be disturbed between
    two steps either, and for whoever may read the copy alone. Nobody is waited for.

    Raises OperatorError when there is no warehouse, WarehouseBusy when it is held and there is no copy that this
    program can read.
    """
    under_way = running.seen(path)
    if under_way and under_way.is_alive and (reading := _copy(path, f"{under_way.step} goes on")):
        return reading
    try:
        connection = open_warehouse(path, read_only=True, patience=0)
        if is_current(connection):
            return Reading(connection, "")
        connection.close()
        open_warehouse(path, patience=0).close()  # made by an older version of the program: brought up to date
        return Reading(open_warehouse(path, read_only=True, patience=0), "")
    except WarehouseBusy as error:
        busy = error
    except OperatorError:
        if os.access(path, os.R_OK) or not path.exists():
            raise
        busy = WarehouseBusy(f"{path} is for its owner alone")
    if reading := _copy(path, busy.problem):
        return reading
    raise WarehouseBusy(
        f"{busy.problem}, and there is no copy of it yet that could be read",
        hint="a run makes one before its first step and before it publishes: try again then; who may read it, "
        "SVOD_READERS_GROUP says",
    )


def _copy(path: Path, why: str) -> Reading | None:
    """The copy that readers use, and why it is read; None when there is none that this program can read."""
    copy = snapshot_path(path)
    with suppress(OperatorError):
        connection = open_warehouse(copy, read_only=True, patience=0)
        if is_current(connection):
            made_at = datetime.fromtimestamp(copy.stat().st_mtime, UTC)
            age = duration((datetime.now(UTC) - made_at).total_seconds())
            return Reading(connection, f"{why}: this is its copy of {made_at:%Y-%m-%d %H:%M} UTC, {age} old")
        connection.close()
    return None


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """What is written within is there as a whole, or not at all; one within another belongs to that."""
    if id(connection) in _IN_TRANSACTION:
        yield
        return
    connection.begin()
    _IN_TRANSACTION.add(id(connection))
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    else:
        connection.commit()
    finally:
        _IN_TRANSACTION.discard(id(connection))


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    try:
        if read_only:
            return _of_a_file(duckdb.connect(str(path.absolute()), read_only=True), path)
        path.parent.mkdir(parents=True, exist_ok=True)
        private.keep_new_files_private()
        connection = _of_a_file(_connect_to_write(path), path)
        private.close_to_others(path)  # one made before that was seen to
        return connection
    except OSError as error:
        raise OperatorError(f"{path.parent} cannot be made: {error.strerror}", hint="check SVOD_WAREHOUSE") from None
    except duckdb.Error as error:
        if storage.is_held(error):
            raise WarehouseBusy(
                f"{path} is open in {storage.holder(error)}",
                hint="wait for the running step, or close that notebook or shell, and start again",
            ) from None
        raise storage.told(error, path) or error from None


def _of_a_file(connection: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyConnection:
    """Raises SettingsError for a file of data, which DuckDB opens as a view in memory: what lands there is gone."""
    ((file,),) = connection.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchall()
    if file is None:
        connection.close()
        raise storage.no_warehouse(path)
    return connection


def _connect_to_write(path: Path) -> duckdb.DuckDBPyConnection:
    """A file without a byte, of a program that had no room or was killed when it made it, is made anew."""
    try:
        return _attached(path)
    except duckdb.IOException as error:
        if storage.is_held(error) or not path.is_file() or path.stat().st_size:
            raise
    path.unlink()
    return _attached(path)


def _attached(path: Path) -> duckdb.DuckDBPyConnection:
    """The file, by way of a database in memory that is named after it: who opens it twice in this program shares both,
    as with a file that is connected to."""
    file = str(path.resolve())
    connection = duckdb.connect(f":memory:{file}", config={"temp_directory": f"{file}.tmp"})
    try:
        storage.attach(connection, path, _ATTACHED_AS)
        connection.execute(f"use {_ATTACHED_AS}")
    except duckdb.Error:
        connection.close()
        raise
    return connection
