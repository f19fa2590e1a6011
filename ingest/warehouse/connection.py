"""Opens the warehouse, creates the schemas Python writes to, and says so when another process holds it."""

import re
from pathlib import Path

import duckdb

from ingest.warehouse.errors import OperatorError, WarehouseBusy

STORAGE = {"storage_compatibility_version": "v1.4.0"}  # analysts' shells and notebooks lag behind the library
SCHEMA = """
create schema if not exists raw;
create schema if not exists ops;
create schema if not exists sync;

create table if not exists raw.dead_letters (
    source varchar not null, source_position varchar not null, reason varchar not null,
    payload blob, run_id varchar not null, ingested_at timestamp not null
);
create table if not exists ops.steps (
    run_id varchar not null, step varchar not null, started_at timestamp not null, finished_at timestamp,
    status varchar not null, rows_in bigint, rows_out bigint, detail json
);
create table if not exists ops.watermarks (
    source varchar primary key, position varchar not null, run_id varchar not null, updated_at timestamp not null
);
comment on table raw.dead_letters is 'Input that could not be landed, as bytes, with its place and the reason.';
comment on table ops.steps is 'One row per step of a run; one that was killed stays running until it is run again.';
comment on table ops.watermarks is 'How far each source has been read; written in the transaction that lands the rows.';
"""


def open_warehouse(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open the DuckDB file, creating it and the schemas `raw`, `ops` and `sync` when they are missing.

    Raises WarehouseBusy when another process holds the file (DuckDB allows one writer), OperatorError
    when the file is absent (read only) or is no DuckDB file.
    """
    if read_only and not path.exists():
        raise OperatorError(f"there is no warehouse at {path}", hint="run `make full` first, or set SVOD_WAREHOUSE")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(str(path), read_only=read_only, config={} if read_only else STORAGE)
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
        connection.execute(SCHEMA)
    return connection
