"""May the marts go to the CRM? What the models' last run says in ops.steps, and where the rows are that stopped it.

Then whether the marts are still what a full pass left behind, and whether all sources could be read lately.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from publish import freshness, stamps
from publish.parts import Part

_SIZE_TEST = "within_change_limit"
_AGAIN = "`make full` or `make incremental`"
_LAST_RUN = f"""
select step, status, detail from ops.steps
where (step = '{journal.DBT_ALL}' or step like '{journal.DBT_ALL} %')
    and not (step = $1 and status = 'done') and step <> $2
order by started_at desc limit 1
"""
_LONGEST_NAME = 30  # dbt cuts long names of tests; what is left of the name still begins like the test


def check(connection: duckdb.DuckDBPyConnection, parts: Iterable[Part], max_age_hours: float) -> None:
    """Return when what the parts are read from may be published.

    Raises OperatorError with exit status 3, or 1 when a model broke, that says why not.
    """
    check_last_run(connection, connection.execute(_LAST_RUN, [journal.DBT_SELECTED, journal.DBT_TRANSFER]).fetchone())
    stamps.check(connection, stamps.marts_of(parts))
    freshness.check(connection, max_age_hours)


def reason_to_stop(connection: duckdb.DuckDBPyConnection, parts: Iterable[Part], max_age_hours: float) -> str:
    """Why a push would not begin, and what to do; '' when it would."""
    try:
        check(connection, parts, max_age_hours)
    except OperatorError as error:
        return f"{error.problem} ({error.hint})"
    return ""


def check_last_run(connection: duckdb.DuckDBPyConnection, last: Any, again: str = _AGAIN) -> None:
    """Return when a model run, its step, status and detail, passed its gates; `again` is what to run where it did not.

    Raises OperatorError with exit status 3 when a data test stopped it or a run is unfinished (a failed test leaves the
    failing mart in place, so nothing else tells), with exit status 1 when a model broke; both name what and where.
    """
    if last is None:
        raise OperatorError("the models have never run", hint=f"run {again}", exit_status=3)
    step, status, text = last
    detail: dict[str, Any] = json.loads(text) if text else {}
    if status == "done" and step != journal.DBT_BEFORE_REGISTRY:
        return
    if status == "gated":
        gates = detail.get("gates", [])
        tests = "; ".join(f"{gate['test']} ({gate['rows']} rows)" for gate in gates) or "see ops.steps"
        failing = "; ".join(_failing_rows(connection, gates)) or "schema failures of the warehouse"
        hint = f"failing rows: {failing}"
        if any(gate["test"].startswith(_SIZE_TEST) for gate in gates):
            hint += "; a size that is right is let through, once, by `make incremental SVOD_MART_CHANGE_LIMIT=0.6`"
        raise OperatorError(f"{step}: data quality gates did not pass: {tests}", hint=hint, exit_status=3)
    if status == "failed":
        broken = ", ".join(detail.get("broken", [])) or detail.get("error", "see dbt's log")
        raise OperatorError(f"{step} failed: {broken}", hint="why is said in the run's output, and in ops.steps")
    raise OperatorError(
        f"the models are half-way: the last step is `{step}`, {status}",
        hint=f"run {again} to the end",
        exit_status=3,
    )


def _failing_rows(connection: duckdb.DuckDBPyConnection, gates: Iterable[Mapping[str, str]]) -> list[str]:
    """Tables of schema `failures` that hold the rows of the tests that stopped the run, as queries to paste."""
    sql = "select table_name from information_schema.tables where table_schema = 'failures' order by 1"
    tables = [name for (name,) in connection.execute(sql).fetchall()]
    queries = []
    for gate in gates:
        named = [table for table in tables if table == gate["test"]] or [
            table for table in tables if len(table) > _LONGEST_NAME and gate["test"].startswith(table[:_LONGEST_NAME])
        ]
        queries += [f"select * from failures.{table}" for table in named]
    return queries
