"""ops.steps and ops.watermarks: what ran, how it ended, how far each source has been read."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import msgspec

from ingest.warehouse import clock, running, storage
from ingest.warehouse.errors import OperatorError

# Names of steps, as ops.steps keeps them. dbt's are made of its selector: see macros/journal_dbt_run.sql.
INGEST_MYSQL = "ingest mysql"
INGEST_JSON = "ingest json"
INGEST_KAFKA = "ingest kafka"
INGEST_REGISTRY = "ingest registry"
INGEST_BITRIX24 = "ingest bitrix24"
INGEST_BACKUP = "ingest backup"
DBT_ALL = "dbt"
DBT_SELECTED = "dbt selected"
DBT_BEFORE_REGISTRY = "dbt before_registry"
DBT_AFTER_REGISTRY = "dbt after_registry"
DBT_TRANSFER = "dbt transfer"
PUBLISH_PUSH = "publish push"
COMPILING = "compiling the models"  # no step: it leaves the warehouse alone
TRANSFER_BASELINE = "publish transfer baseline"
TRANSFER_REHEARSAL = "publish transfer rehearsal"
TRANSFER_DELTA = "publish transfer delta"
TRANSFER_FINAL = "publish transfer final"
TRANSFER_PUSH = "publish transfer push"


def utc_now() -> datetime:
    """The present as a naive UTC timestamp, the form every warehouse column has; within a program it only goes on."""
    return datetime.fromtimestamp(clock.epoch(), UTC).replace(tzinfo=None)


def current_run_id() -> str:
    """The run all steps of one `make` target share (SVOD_RUN_ID), or a new one for a command started alone."""
    return os.environ.get("SVOD_RUN_ID") or f"{utc_now():%Y%m%dT%H%M%S}-{uuid4().hex[:6]}"


@dataclass
class Step:
    """A running step. The owner counts into it; what it holds at the end is what the journal keeps."""

    run_id: str
    name: str
    rows_in: int = 0
    rows_out: int = 0
    detail: dict[str, Any] = field(default_factory=dict)
    started_at: datetime = field(default_factory=utc_now)
    status: str = "running"

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Keep how it ends: `done`, `gated` (an OperatorError with exit status 3) or `failed`.

        The error's own text is kept in `detail.error`; callers make sure it holds no secret.
        """
        try:
            yield
            self.status = "done"
        except OperatorError as error:
            self.status = "gated" if error.exit_status == 3 else "failed"
            self.detail |= {"error": error.problem, "hint": error.hint}
            raise
        except BaseException as error:
            self.status = "failed"
            told = storage.told(error)
            self.detail["error"] = told.problem if told else type(error).__name__
            raise


@contextmanager
def step(connection: duckdb.DuckDBPyConnection, name: str) -> Iterator[Step]:
    """Journal a step: `running` while it works, then as `Step.going_on` says."""
    current = Step(current_run_id(), name)
    begin(connection, current)
    try:
        with running.told.step(file_of(connection), name, current.run_id), current.going_on():
            yield current
    finally:
        with suppress(duckdb.TransactionException):  # a failed insert leaves its transaction open
            connection.rollback()
        update(connection, current)


def file_of(connection: duckdb.DuckDBPyConnection) -> Path | None:
    """The file of a warehouse; None of one in memory."""
    sql = "select path from duckdb_databases() where database_name = current_database()"
    ((path,),) = connection.execute(sql).fetchall()
    return Path(path) if path else None


def begin(connection: duckdb.DuckDBPyConnection, current: Step) -> None:
    """Write down that a step runs. One of the same name that was killed and left running is closed as `failed`.

    It begins after every step before it, whatever the machine's clock has been put back to since: which run was the
    last one is told by these times.

    The caller holds a lock that proves that its process is gone: the warehouse's own, or one of the step's.
    """
    ((current.started_at,),) = connection.execute(
        "select greatest(?::timestamp, max(started_at) + interval 1 microsecond) from ops.steps", [current.started_at]
    ).fetchall()
    connection.execute(
        """update ops.steps set status = 'failed', finished_at = ?,
               detail = json_merge_patch(coalesce(detail, '{}'), '{"error": "killed before it ended"}')
           where step = ? and status = 'running'""",
        [current.started_at, current.name],
    )
    connection.execute(
        "insert into ops.steps (run_id, step, started_at, status) values (?, ?, ?, 'running')",
        [current.run_id, current.name, current.started_at],
    )


def update(connection: duckdb.DuckDBPyConnection, current: Step) -> None:
    """Write down what a step has done so far, and how it ended if it did."""
    connection.execute(
        """update ops.steps set status = ?, finished_at = ?, rows_in = ?, rows_out = ?, detail = ?
           where run_id = ? and step = ? and started_at = ?""",
        [
            current.status,
            None if current.status == "running" else max(utc_now(), current.started_at),
            current.rows_in,
            current.rows_out,
            msgspec.json.encode(current.detail).decode(),
            current.run_id,
            current.name,
            current.started_at,
        ],
    )


def watermark(connection: duckdb.DuckDBPyConnection, source: str) -> str | None:
    """The position up to which `source` has been landed, or None when it never was."""
    rows = connection.execute("select position from ops.watermarks where source = ?", [source]).fetchall()
    return rows[0][0] if rows else None


def set_watermark(connection: duckdb.DuckDBPyConnection, source: str, position: str, run_id: str) -> None:
    """Move the watermark of `source`; call it inside the transaction that lands the rows it stands for."""
    set_watermarks(connection, {source: position}, run_id)


def set_watermarks(connection: duckdb.DuckDBPyConnection, positions: Mapping[str, str], run_id: str) -> None:
    """The same of several sources, in one statement: each takes DuckDB as long as landing some hundred rows."""
    if positions:
        connection.execute(
            "insert or replace into ops.watermarks select unnest(?::varchar[]), unnest(?::varchar[]), ?, ?::timestamp",
            [[*positions], [*positions.values()], run_id, utc_now()],
        )
