"""Verdicts of the company registry: which INNs are asked for, how the answers land, each INN once per time to live.

Rows of raw.registry__companies: source_key = the INN as asked (text, zeros kept), source_at = when the verdict was
given (UTC; a file's time of modification; the day of an extract), source_position = `service` or the file's name @ INN,
or file/member@byte of the tax service's, and one of three payloads:

    {"inn": "7707083893", "found": true, "asked_at": "2026-10-02T10:00:00", "suggestions": [ …as answered… ]}
    {"inn": "7707083893", "found": true, "verdict": { …the file's row, by its column names… }}
    {"inn": "7707083893", "found": true, "extract": { …see registry_extract… }}

An INN the service does not know is a verdict as well: `found` false, `suggestions` empty. The newest source_at wins.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from time import monotonic

import duckdb

from ingest import raw
from ingest.raw import DeadLetter, RawRecord
from ingest.registry_service import QuotaSpent, Registry
from ingest.warehouse import journal
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError

TABLE = "registry__companies"
DESCRIPTION = "Verdicts of the company registry, one row each, unknown INNs too."
COMMIT_EVERY = 200
QUEUE = "intermediate.int_companies__registry_queue"
LONGEST_DELAY_H = 30 * 24  # of an INN that gets no answer
# Verdicts that came on one day would expire on one day, too: the models spread them (ttl_factor).
UNANSWERED = f"""
from {QUEUE} as queue
left join ops.registry_failures as failed using (inn)
left join (
    select source_key as inn, max(source_at) as given_at from raw.{TABLE}
    where source_key in (select inn from {QUEUE}) group by source_key
) as held using (inn)
where coalesce(given_at <= ?::timestamp - to_seconds(? * ttl_factor), true)
"""


def wanted_inns(connection: duckdb.DuckDBPyConnection, ttl: timedelta) -> list[str]:
    """The INNs the models ask for that have no verdict younger than `ttl`, in the models' order.

    Those that got no answer once come last; those that failed again wait longer each time.
    Raises OperatorError when the models that ask have not been built.
    """
    raw.raw_table(connection, TABLE, DESCRIPTION)
    try:
        rows = connection.execute(
            f"select queue.inn {UNANSWERED} and coalesce(next_at <= ?, true) order by coalesce(times, 0), place",
            [*_now_and(ttl), journal.utc_now()],
        ).fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        raise OperatorError(
            f"there is no table {QUEUE} that says which INNs to ask for",
            hint="build the models before the registry first: dbt build --selector before_registry (make full does)",
        ) from None
    return [inn for (inn,) in rows]


def waiting_inns(connection: duckdb.DuckDBPyConnection, ttl: timedelta) -> list[tuple[str, int]]:
    """How many INNs wait for a verdict, by why they come when they do, in that order.

    Raises duckdb.CatalogException or duckdb.BinderException when a table or one of its columns is missing.
    """
    now = journal.utc_now()
    return connection.execute(
        f"""select if(next_at > ?, 'no answer so far, asked again later', queue.reason) as why, count(*)
            {UNANSWERED} group by why order by min(if(next_at > ?, null, place)) nulls last""",
        [now, *_now_and(ttl), now],
    ).fetchall()


def _now_and(ttl: timedelta) -> tuple[object, ...]:
    return journal.utc_now(), ttl.total_seconds()


def land_verdicts(
    connection: duckdb.DuckDBPyConnection,
    registry: Registry,
    inns: Sequence[str],
    step: journal.Step,
    on_progress: Callable[[int], None] = lambda verdicts: None,
) -> QuotaSpent | None:
    """Ask the service for `inns` and append the verdicts as they come, some hundreds a transaction.

    A quota that is spent is no failure: it is returned, and the rest waits. Raises OperatorError when the service
    refuses or some INN got no answer, saying how many INNs wait; whatever was answered is landed by then.
    """
    table = raw.raw_table(connection, TABLE, DESCRIPTION)

    def land(records: list[RawRecord]) -> None:
        with transaction(connection):
            step.rows_out += raw.append(connection, table, records, step.run_id)
            _forget_failures(connection, [record.source_key for record in records])
        on_progress(len(records))

    async def ask_and_land() -> list[DeadLetter]:
        records: list[RawRecord] = []
        letters: list[DeadLetter] = []
        # In a thread: a loop that stands still while DuckDB writes keeps requests from their turns.
        landing = asyncio.create_task(asyncio.to_thread(land, records))
        try:
            async for verdict in registry.verdicts(inns):
                if isinstance(verdict, DeadLetter):
                    letters.append(verdict)
                    continue
                records.append(verdict)
                if len(records) >= COMMIT_EVERY:
                    await landing
                    landing = asyncio.create_task(asyncio.to_thread(land, records))
                    records = []
        finally:
            await landing
            land(records)
            _keep_failures(connection, letters, step.run_id)
        return letters

    landed_before, began = step.rows_out, monotonic()
    step.rows_in += len(inns)
    spent: QuotaSpent | None = None
    unanswered: list[DeadLetter] = []
    problem: OperatorError | None = None
    try:
        unanswered = asyncio.run(ask_and_land())
    except QuotaSpent as quota:
        spent = quota
    except OperatorError as error:
        problem = error
    answered = step.rows_out - landed_before
    waiting = len(inns) - answered
    step.detail |= {"answered": answered, "a_second": round(answered / max(monotonic() - began, 0.001), 1)}
    step.detail |= {"refused": registry.refused} if registry.refused else {}
    step.detail |= {"waiting": waiting} if waiting else {}
    if spent:
        step.detail["goes_on_at"] = spent.goes_on_at.isoformat()
    if problem:
        raise OperatorError(f"{problem.problem}; {waiting} of {len(inns)} INNs wait", hint=problem.hint)
    if unanswered:
        raise OperatorError(
            f"{len(unanswered)} of {len(inns)} INNs got no answer from the registry ({unanswered[0].reason}) and wait",
            hint="the others are landed; the next run asks for these again",
        )
    return spent


def _forget_failures(connection: duckdb.DuckDBPyConnection, inns: list[str | None]) -> None:
    connection.execute("delete from ops.registry_failures where inn in (select unnest(?::varchar[]))", [inns])


def _keep_failures(connection: duckdb.DuckDBPyConnection, letters: list[DeadLetter], run_id: str) -> None:
    """Each further time an INN waits twice as long, from none over an hour to a month."""
    if not letters:
        return
    with transaction(connection):
        raw.append_dead_letters(connection, letters, run_id)
        connection.execute(
            """insert into ops.registry_failures
               select unnest($1::varchar[]), 1, unnest($2::varchar[]), $3::timestamp, $3::timestamp
               on conflict (inn) do update set
                   times = times + 1, reason = excluded.reason, failed_at = excluded.failed_at,
                   next_at = excluded.failed_at + to_hours(least($4, 2 ** least(times - 1, 20))::int)""",
            [
                [letter.source_position.partition("@")[2] for letter in letters],
                [letter.reason for letter in letters],
                journal.utc_now(),
                LONGEST_DELAY_H,
            ],
        )
