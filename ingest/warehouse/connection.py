"""Opens the warehouse, brings its schemas up to date, and says so when another process holds it."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeAlias

import duckdb

from ingest.warehouse import private, storage
from ingest.warehouse.errors import OperatorError, WarehouseBusy
from ingest.warehouse.schema import ensure_schema, is_current
from ingest.warehouse.snapshot import snapshot_path

STORAGE_VERSION = "v1.4.0"  # analysts' shells and notebooks lag behind the library
PATIENCE_S = 5.0  # a step waits so long for somebody who only looks: `make status`, a copy being made
LOOK_AGAIN_S = 0.1
Config: TypeAlias = dict[str, str | bool | int | float | list[str]]
_IN_TRANSACTION: set[int] = set()  # connections, by id


class Reading(NamedTuple):
    """A connection that reads, and what there is to say when it reads a copy ('' when it does not)."""

    connection: duckdb.DuckDBPyConnection
    note: str


def open_warehouse(path: Path, *, read_only: bool = False, patience: float = PATIENCE_S) -> duckdb.DuckDBPyConnection:
    """Open the DuckDB file, creating it (0600) and what `schema.sql` has when they are missing. Whoever opens it to
    write makes files for himself alone from then on, for DuckDB makes its log when it is first needed.

    Raises WarehouseBusy when another process holds the file (DuckDB allows one writer) and still does after `patience`
    seconds, OperatorError when the file is absent (read only), damaged, or cannot grow.
    """
    if read_only and not (path.exists() and path.stat().st_size):
        raise OperatorError(f"there is no warehouse at {path}", hint="run `make full` first, or set SVOD_WAREHOUSE")
    until = time.monotonic() + patience
    while True:
        try:
            connection = _connect(path, read_only=read_only)
            break
        except WarehouseBusy:
            if time.monotonic() > until:
                raise
            time.sleep(LOOK_AGAIN_S)
    connection.execute("set timezone = 'UTC'")
    if storage.is_cut_off(connection, path):
        connection.close()
        raise storage.damaged(path)
    if not read_only:
        ensure_schema(connection)
    return connection


def open_for_reading(path: Path) -> Reading:
    """Open the warehouse to read, or the copy of it while a step holds it. Nobody is waited for.

    Raises OperatorError when there is no warehouse, WarehouseBusy when it is held and there is no copy that this
    program can read.
    """
    try:
        connection = open_warehouse(path, read_only=True, patience=0)
        if is_current(connection):
            return Reading(connection, "")
        connection.close()
        open_warehouse(path, patience=0).close()  # made by an older version of the program: brought up to date
        return Reading(open_warehouse(path, read_only=True, patience=0), "")
    except WarehouseBusy as error:
        busy = error
    copy = snapshot_path(path)
    with suppress(OperatorError):
        connection = open_warehouse(copy, read_only=True, patience=0)
        if is_current(connection):
            made_at = datetime.fromtimestamp(copy.stat().st_mtime, UTC)
            age = _duration((datetime.now(UTC) - made_at).total_seconds())
            return Reading(connection, f"{busy.problem}: this is its copy of {made_at:%Y-%m-%d %H:%M} UTC, {age} old")
        connection.close()
    raise WarehouseBusy(
        f"{busy.problem}, and there is no copy of it yet that could be read",
        hint="a run makes one before its first step and before it publishes: try again then",
    )


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
    config: Config = {}
    if not read_only:
        config["storage_compatibility_version"] = STORAGE_VERSION
    try:
        if read_only:
            return _of_a_file(duckdb.connect(str(path.absolute()), read_only=True, config=config), path)
        path.parent.mkdir(parents=True, exist_ok=True)
        private.keep_new_files_private()
        connection = _of_a_file(_connect_to_write(path, config), path)
        private.close_to_others(path)  # one made before that was seen to
        return connection
    except OSError as error:
        raise OperatorError(f"{path.parent} cannot be made: {error.strerror}", hint="check SVOD_WAREHOUSE") from None
    except duckdb.Error as error:
        if storage.is_held(error):
            holder = re.search(r"PID (\d+)", str(error))
            raise WarehouseBusy(
                f"{path} is open in {'process ' + holder[1] if holder else 'another process'}",
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


def _connect_to_write(path: Path, config: Config) -> duckdb.DuckDBPyConnection:
    """A file without a byte, of a program that had no room or was killed when it made it, is made anew."""
    try:
        return duckdb.connect(str(path.absolute()), config=config)
    except duckdb.IOException as error:
        if storage.is_held(error) or not path.is_file() or path.stat().st_size:
            raise
    path.unlink()
    return duckdb.connect(str(path.absolute()), config=config)


def _duration(seconds: float) -> str:
    """For people: 40 s, 12 min, 3 h 05 min, 2 days."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if days > 1:
        return f"{days} days"
    return f"{hours} h {minutes % 60:02} min" if hours else f"{minutes} min" if minutes else f"{max(0, int(seconds))} s"
