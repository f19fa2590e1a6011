"""What no time of change tells: rows that vanished, were committed long after their time, or changed without one.

Ranges of keys are compared by counts and checksums that the server computes. Only those that differ are read again;
rows that are gone land as tombstones: rows of raw without a payload. A server is asked for one range at a time and then
left alone as long as that took, so that it is at work for half of the time at most.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import duckdb
import msgspec

from ingest import raw
from ingest.relational import Column, Pauses, ServerLost, Table, land_rows, read_last_versions, sql_text
from ingest.warehouse import journal
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError

RANGE_ROWS = 50_000  # compared by one statement
READ_ROWS = 2_000  # a range that differs is divided until it has no more of ours
ASKED_KEYS = 500  # in one statement
PAUSE_S = 5.0  # at most, after a statement
LARGE_TABLE, SHARE_GONE = 100, 0.5  # rows; of those, more than this share at once is looked at by a person first

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Range:
    """Keys from `first` on and before `end`; None: without a bound."""

    first: int | None = None
    end: int | None = None

    def where(self, key: str) -> str:
        """The condition, for us as for the server."""
        bounds = [f"{key} >= {self.first}"] if self.first is not None else []
        bounds += [f"{key} < {self.end}"] if self.end is not None else []
        return " and ".join(bounds) or "true"


@dataclass
class Outcome:
    """What a reconciliation came to."""

    ranges: int = 0  # compared
    rows_read: int = 0
    rows_landed: int = 0
    rows_gone: int = 0


class Reconciliation:
    """One table, compared with what is landed of it."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: Table,
        step: journal.Step,
        since: datetime | None,
        pauses: Pauses,
    ) -> None:
        self.connection, self.table, self.step, self.since = connection, table, step, since
        self.outcome = Outcome()
        self._raw_name = table.raw_name(connection)
        self._period = table.changed_since(since)
        self._pauses = pauses
        self._key = table.key[0] if len(table.key) == 1 and table.key[0].is_whole else None

    def run(self, *, may_lose_most: bool) -> Outcome:
        """Compare and land. Raises OperatorError when most rows are gone, unless that may be: then what is new or
        changed has landed."""
        self._gather_landed()
        for keys in list(self._divided(Range(), RANGE_ROWS)):
            self._settle(keys)
        if self.since is not None:
            self._find_older()
        ((landed, gone),) = self.connection.execute(
            "select (select count(*) from landed_now), (select count(*) from vanished)"
        ).fetchall()
        if gone > max(LARGE_TABLE, landed * SHARE_GONE) and not may_lose_most:
            raise OperatorError(
                f"{self.table.place}: {gone} of {landed} rows are gone from the server: nothing was marked as gone",
                hint="is it the right server, and whole? if so: `ingest mysql --reconcile`",
            )
        self._land_tombstones()
        self.outcome.rows_gone = gone
        return self.outcome

    def _gather_landed(self) -> None:
        """Temp table `landed_now`: of each key that is there, the sum of its row as the server would compute it."""
        pointers = ", ".join(pointer(column) for column in self.table.columns if column.compared)
        texts = ", ".join(
            f"hex(from_base64(fields[{number}]))" if column.lands_as == "bytes" else f"fields[{number}]"
            for number, column in enumerate((c for c in self.table.columns if c.compared), 1)
        )
        # A byte that a charset lacks comes as its number from us and as "?" from the server.
        self.connection.execute(
            f"""create or replace temp table landed_now as
                select source_key, try_cast(source_key as hugeint) as key_number,
                    ('0x' || left(md5(array_to_string(list_transform(
                        [{texts}], lambda field: coalesce(replace(field, chr(152), '?'), chr(0))), chr(31))), 15)
                    )::ubigint as row_sum
                from (
                    select source_key, json_extract_string(payload, [{pointers}]) as fields from {self._raw_name}
                    where rowid in (select max(rowid) from {self._raw_name} group by source_key) and payload is not null
                        and ($since is null or source_at is null or source_at >= $since))""",
            {"since": self.since},
        )
        self.connection.execute("create or replace temp table vanished (source_key varchar)")

    def _divided(self, keys: Range, rows: int) -> Iterator[Range]:
        """A range in parts of so many rows of ours."""
        first = keys.first
        for (bound,) in self.connection.execute(
            f"""select key_number from (
                    select key_number, row_number() over (order by key_number) as number from landed_now
                    where {keys.where("key_number")})
                where number % {rows} = 0 and {self._key is not None} order by 1"""
        ).fetchall():
            if bound != first:
                yield Range(first, bound)
                first = bound
        yield Range(first, keys.end)

    def _settle(self, keys: Range) -> None:
        """Land what differs in a range."""
        ((count, total),) = self.connection.execute(
            f"select count(*), coalesce(sum(row_sum), 0) from landed_now where {self._ours(keys)}"
        ).fetchall()
        compared = [column.compared for column in self.table.columns if column.compared]
        where = self._theirs(keys)
        at_server = self._asked(lambda: self.table.server.checksum(self.table.name, compared, where))
        self.outcome.ranges += 1
        if at_server == (count, total):
            return
        parts = list(self._divided(keys, READ_ROWS)) if count > READ_ROWS else []
        if len(parts) > 1:
            for part in parts:
                self._settle(part)
        else:
            self._asked(lambda: self._read(keys))

    def _ours(self, keys: Range) -> str:
        return keys.where("key_number") if self._key else "true"

    def _theirs(self, keys: Range) -> str:
        in_range = keys.where(self.table.server.quoted(self._key.name)) if self._key else "true"
        return f"{self._period} and {in_range}"

    def _read(self, keys: Range) -> None:
        """Read a range again, land its new and changed rows, note which of ours it no longer has."""
        connection = self.connection
        in_range = keys.where("try_cast(source_key as hugeint)") if self._key else "true"
        self._land(in_range, self._theirs(keys))
        connection.execute(
            f"""insert into vanished
                select source_key from landed_now anti join seen using (source_key) where {self._ours(keys)}"""
        )

    def _land(self, ours: str, theirs: str) -> None:
        """Land rows of the server that differ from ours, and note the keys of all of them in temp table `seen`."""
        connection = self.connection
        read_last_versions(connection, self._raw_name, ours)
        connection.execute("create or replace temp table seen (source_key varchar)")
        for batch in raw.read_ahead(self.table.batches(theirs)):
            with transaction(connection):
                self.outcome.rows_landed += land_rows(connection, self.table, self._raw_name, batch, self.step)
                with raw.visible(connection, "batch", batch.rows):
                    connection.execute(f"insert into seen select source_key from ({self.table.records_query()})")
            self.outcome.rows_read += len(batch.rows)

    def _find_older(self) -> None:
        """Land rows whose time of change was set back before the period: they only seem to be gone."""
        key, server = self.table.key, self.table.server
        keys = self.connection.execute(
            f"""select json_extract_string(payload, [{", ".join(pointer(column) for column in key)}])
                from {self._raw_name} where rowid in (
                    select max(rowid) from {self._raw_name} semi join vanished using (source_key)
                    where payload is not null group by source_key)"""
        ).fetchall()
        for start in range(0, len(keys), ASKED_KEYS):
            # a list of rows, `(a, b) in (…)`, is not found by MariaDB 10.11 where a column has another charset
            where = " or ".join(
                " and ".join(
                    f"{server.quoted(column.name)} = {server.literal(value, column)}"
                    for value, column in zip(values, key, strict=True)
                )
                for (values,) in keys[start : start + ASKED_KEYS]
            )
            self._asked(partial(self._land, "source_key in (from vanished)", where))
            self.connection.execute("delete from vanished where source_key in (from seen)")

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        """An answer of the server, however often it is lost, and the pause after it."""
        while True:
            started = time.monotonic()
            try:
                answer = ask()
                break
            except ServerLost as error:
                self._pauses.wait(error, self.table)
        self._pauses.forget()
        time.sleep(min(time.monotonic() - started, PAUSE_S))
        return answer

    def _land_tombstones(self) -> None:
        names = ",".join(column.name for column in self.table.key)
        gone = self.connection.sql("from vanished").to_arrow_table()
        position = sql_text(f"{self.table.name}/{names}=")
        now = sql_text(self._asked(self.table.server.now))
        select = f"select null::json, source_key, {now}::timestamp, {position} || source_key || '@gone' from batch"
        with transaction(self.connection):
            raw.append_selected(self.connection, self._raw_name, gone, select, self.step.run_id)


def pointer(column: Column) -> str:
    """Where a column is in a payload, as a DuckDB literal."""
    return sql_text("/" + column.name.replace("~", "~0").replace("/", "~1"))


def reconcile(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    step: journal.Step,
    *,
    since: datetime | None,
    may_lose_most: bool,
    on_wait: Callable[[str], None] = lambda said: None,
    is_patient: bool = True,
) -> Outcome:
    """Compare a table's rows, changed since `since` (all if None), with those landed, and land what differs. A server
    that is lost is waited for as `land_table` does.

    Raises OperatorError, with nothing marked as gone, when most rows are and that may not be.
    """
    started = time.monotonic()
    pauses = Pauses(on_wait, is_patient=is_patient)
    outcome = Reconciliation(connection, table, step, since, pauses).run(may_lose_most=may_lose_most)
    connection.execute(
        "insert or replace into ops.reconciliations values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            table.source.name,
            table.name,
            journal.utc_now(),
            outcome.ranges,
            outcome.rows_read,
            outcome.rows_landed,
            outcome.rows_gone,
            time.monotonic() - started,
            step.run_id,
        ],
    )
    return outcome


def is_due(connection: duckdb.DuckDBPyConnection, table: Table) -> bool:
    """Whether the last reconciliation of a table is longer ago than its source's setting says; 0: never."""
    hours = table.source.reconcile_hours
    rows = connection.execute(
        "select reconciled_at from ops.reconciliations where source = ? and table_name = ?",
        [table.source.name, table.name],
    ).fetchall()
    return bool(hours) and (not rows or journal.utc_now() - rows[0][0] > timedelta(hours=hours))


def changes_of(connection: duckdb.DuckDBPyConnection, source: str, name: str, facts: dict[str, str]) -> list[str]:
    """What is not as it was when it was last looked at: of a server (`name` is '') or a table's columns. Each change is
    told once; nothing is the first time."""
    kept = connection.execute(
        "select facts from ops.source_facts where source = ? and table_name = ?", [source, name]
    ).fetchall()
    connection.execute(
        "insert or replace into ops.source_facts values (?, ?, ?, ?)",
        [source, name, msgspec.json.encode(facts).decode(), journal.utc_now()],
    )
    before = msgspec.json.decode(kept[0][0], type=dict[str, str]) if kept else facts
    changed = [
        f"{key} was {before[key]}, is {value}" for key, value in facts.items() if before.get(key, value) != value
    ]
    changed += [f"{key} is new" for key in facts if key not in before]
    return changed + [f"{key} is gone" for key in before if key not in facts]
