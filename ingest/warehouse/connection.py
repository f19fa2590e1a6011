"""Opens the warehouse, brings its schemas up to date, and says so when another process holds it."""

import re
from pathlib import Path

import duckdb

from ingest.warehouse.errors import OperatorError, WarehouseBusy
from ingest.warehouse.schema import ensure_schema

STORAGE_VERSION = "v1.4.0"  # analysts' shells and notebooks lag behind the library


def open_warehouse(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open the DuckDB file, creating it and what `schema.sql` has when they are missing.

    Raises WarehouseBusy when another process holds the file (DuckDB allows one writer), OperatorError
    when the file is absent (read only) or is no DuckDB file.
    """
    if read_only and not path.exists():
        raise OperatorError(f"there is no warehouse at {path}", hint="run `make full` first, or set SVOD_WAREHOUSE")
    config: dict[str, str | bool | int | float | list[str]] = {}
    if not read_only:
        config["storage_compatibility_version"] = STORAGE_VERSION
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(str(path), read_only=read_only, config=config)
    except OSError as error:
        raise OperatorError(f"{path.parent} cannot be made: {error.strerror}", hint="check SVOD_WAREHOUSE") from None
    except duckdb.IOException as error:
        holder = re.search(r"PID (\d+)", str(error))
        if holder or "lock" in str(error).lower():
            raise WarehouseBusy(
                f"{path} is open in {'process ' + holder[1] if holder else 'another process'}",
                hint="wait for the running step, or close that notebook or shell, and start again",
            ) from None
        raise OperatorError(
            f"{path} cannot be opened: {str(error).splitlines()[0]}", hint="is it a DuckDB file?"
        ) from None
    connection.execute("set timezone = 'UTC'")
    if not read_only:
        ensure_schema(connection)
    return connection
