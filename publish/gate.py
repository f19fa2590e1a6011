"""May the marts go to the CRM? What the models' last run says in ops.steps, and where the rows are that stopped it."""

import json

import duckdb

from ingest.warehouse.errors import OperatorError


def check(connection: duckdb.DuckDBPyConnection) -> None:
    """Return when the last model run passed its gates.

    Raises OperatorError with exit status 3 when a data test stopped it or a run is unfinished (a failed test leaves the
    failing mart in place, so nothing else tells), with exit status 1 when a model broke; both name what and where.
    """
    last = connection.execute(
        """select step, status, detail from ops.steps where (step = 'dbt' or step like 'dbt %')
               and not (step = 'dbt selected' and status = 'done') order by started_at desc limit 1"""
    ).fetchone()
    if last is None:
        raise OperatorError("the models have never run", hint="run `make full`", exit_status=3)
    step, status, detail = last
    found = json.loads(detail) if detail else {}
    if status == "done" and step != "dbt before_registry":
        return
    if status == "gated":
        tests = [f"{one['test']} ({one['rows']} rows)" for one in found.get("gates", [])]
        raise OperatorError(
            f"{step}: data quality gates did not pass: {'; '.join(tests) or 'see ops.steps'}",
            hint=f"failing rows: {'; '.join(_failures(connection, found)) or 'schema failures of the warehouse'}",
            exit_status=3,
        )
    if status == "failed":
        broken = ", ".join(found.get("broken", [])) or found.get("error", "see dbt's log")
        raise OperatorError(f"{step} failed: {broken}", hint="the models' log says why: dbt_project/logs/dbt.log")
    raise OperatorError(
        f"the models are half-way: the last step is `{step}`, {status}",
        hint="run `make full` or `make incremental` to the end",
        exit_status=3,
    )


def _failures(connection: duckdb.DuckDBPyConnection, detail: dict) -> list[str]:
    """Tables of schema `failures` that hold the rows of the tests that stopped the run, as queries to paste."""
    tables = {
        row[0]
        for row in connection.execute(
            "select table_name from information_schema.tables where table_schema = 'failures'"
        ).fetchall()
    }
    # dbt cuts long names of tests; what is left of the name still begins like the test.
    return [
        f"select * from failures.{table}"
        for one in detail.get("gates", [])
        for table in sorted(tables)
        if table == one["test"] or (len(table) > 30 and one["test"].startswith(table[:30]))
    ]
