"""One pass over the models: the statements that dbt compiled, in the order of its graph, in one transaction.

All on one connection, which has all cores within a statement. Where all is built though a refresh could have been made,
what is replaced is compared with what replaces it (rebuilding.py).
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import duckdb

from ingest.warehouse import journal, storage
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.terminal import progress_of, say
from publish import stamps
from publish.models import landed, rebuilding, refreshing
from publish.models.compiled import RUN_ID, Node, Project
from publish.models.materializations import kinds_there, put_in_place
from publish.models.refreshing import Refresh


class Failing(NamedTuple):
    """A data test with rows, and the table that has them."""

    test: Node
    rows: int


@dataclass
class Built:
    """What a pass did: how many models and seeds it built, how many tests it asked, which of them have rows."""

    models: int = 0
    tests: int = 0
    touched: int = 0  # of the models
    whole: list[str] = field(default_factory=list)  # of those the ones that were built as a whole
    gates: list[Failing] = field(default_factory=list)
    warnings: list[Failing] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    compared: int = 0  # of the models, those whose rows were compared with the ones they replaced
    differing: dict[str, int] = field(default_factory=dict)  # of those, rows that came out otherwise
    failing_rows: dict[str, Any] = field(default_factory=dict)  # of gates, as Arrow tables

    def detail(self, basis: str, *, is_full_pass: bool) -> dict[str, Any]:
        """As the journal keeps it, and `publish gate` and dbt's own macros read it."""
        return {
            "command": "build",
            "is_full_pass": is_full_pass,
            "models": self.models,
            "tests": self.tests,
            "broken": self.broken,
            "gates": [{"test": test.name, "rows": rows} for test, rows in self.gates],
            "warnings": [{"test": test.name, "rows": rows} for test, rows in self.warnings],
            "compared": self.compared,
            "differing": self.differing,
            "basis": basis,
        }


def build(
    connection: duckdb.DuckDBPyConnection,
    project: Project,
    step: str,
    *,
    is_anew: bool = False,
    tell: Callable[[str], None] = say,
) -> journal.Step:
    """Build one pass as a step of the journal, in one transaction, and tell what was done.

    Where nothing landed since a pass that passed all its tests, and the project is what it was, nothing is built;
    `is_anew` builds all, and compares that with what a refresh leaves. Rows that fail a test are in schema `failures`,
    also when the pass is rolled back.

    Raises OperatorError with exit status 3 when a test of severity error has rows, with 1 when a statement breaks, or
    when refreshes had left other rows than a build of all; the pass is kept then, for it has put them right.
    """
    for name, value in project.settings.items():
        connection.execute(f"set {name} = '{value}'")
    with journal.step(connection, step) as current:
        dirty_before = _dirty_before(connection, current)
        connection.execute(project.first_sql)
        is_move = step == journal.DBT_TRANSFER  # made of what is written down of portals, too: built each time
        rules = landed.rules(connection, project)
        basis = "" if is_move else landed.basis(connection, project, rules)
        if not is_anew and landed.is_built(connection, basis):
            current.detail = Built().detail(basis, is_full_pass=False) | {"nothing_new": True}
            tell(f"{step}: nothing landed since the last pass, nothing to build")
            return current
        reason = landed.reason_to_build_all(connection, project, rules, step, current.started_at)
        is_refresh = not reason and not is_move
        reason = "it was asked for" if is_anew or is_move else reason
        built = Built()
        try:
            # What a move found is said from its models, also where it may not go out.
            how = {"is_refresh": is_refresh, "is_compared": is_refresh and is_anew, "keeps_gated": is_move}
            _build(connection, project, step, current.run_id, rules, built, **how)
        finally:
            current.detail = built.detail(basis, is_full_pass=False) | {"built_all_for": reason or None}
            status = "failed" if built.broken else "gated" if built.gates else "done"
            told = f"; all built, for {reason}" if reason else f"; {built.touched} of them touched by what landed"
            told += f", {', '.join(built.whole)} as a whole" if built.whole and not reason else ""
            told += f"; {built.compared} compared with what they replace" if built.compared else ""
            tell(f"{step}: {built.models} models and seeds, {built.tests} tests, {status}{'' if is_move else told}")
        current.detail["is_full_pass"] = bool(project.passes[step].last_sql)
        _tell_of_dirty_sources(built, dirty_before, tell)
        if built.differing:
            raise rebuilding.left_otherwise(built.differing)
    return current


def _build(
    connection: duckdb.DuckDBPyConnection,
    project: Project,
    step: str,
    run_id: str,
    rules: str,
    built: Built,
    *,
    is_refresh: bool,
    is_compared: bool,
    keeps_gated: bool,
) -> None:
    try:
        with transaction(connection):
            kinds = kinds_there(connection)
            refresh = Refresh(connection, project, step, run_id, landed.seen(connection, step)) if is_refresh else None
            node_ids = project.passes[step].node_ids
            with progress_of("models and tests", len(node_ids)) as advance:
                for unique_id in node_ids:
                    node = project.nodes[unique_id]
                    with _naming(node, built):
                        if node.kind == "test":
                            _ask(connection, node, kinds, built, None if is_compared else refresh)
                        else:
                            _bring_up_to_date(connection, node, kinds, run_id, refresh, built, is_compared=is_compared)
                            built.models += 1
                    advance(1)
            if built.gates and not keeps_gated:
                for test, _ in built.warnings:
                    built.failing_rows[test.relation] = _rows(connection, test)
                raise _gated(built)
            if not built.gates:
                _end_of_pass(connection, project, step, run_id, rules, refresh)
    except OperatorError:  # all of it is as it was before, but the rows are for people to look at
        with transaction(connection):
            for relation, rows in built.failing_rows.items():
                connection.register("failing_rows", rows)
                connection.execute(f"create schema if not exists {relation.partition('.')[0]}")
                connection.execute(f"create or replace table {relation} as from failing_rows")
                connection.unregister("failing_rows")
        raise
    if built.gates:
        raise _gated(built)


def _end_of_pass(
    connection: duckdb.DuckDBPyConnection,
    project: Project,
    step: str,
    run_id: str,
    rules: str,
    refresh: Refresh | None,
) -> None:
    """Write what is written when all went well, and how far the models have seen. Where a mart was refreshed, its stamp
    changes by what has changed in it."""
    for statement in project.passes[step].last_sql.replace(RUN_ID, run_id).split(";"):
        if statement.strip() and not (refresh and "ops.mart_stamps" in statement):
            connection.execute(statement)
    if refresh:
        for mart in refresh.changed_marts():
            stamps.stamp_changes(connection, mart, refresh.changes_of(mart), run_id, step)
    if step == journal.DBT_TRANSFER:
        return
    landed.note(connection, project, rules, step)
    if refresh and step == journal.DBT_BEFORE_REGISTRY:
        refresh.finish()
    else:
        refreshing.clear(connection)
    if step == journal.DBT_BEFORE_REGISTRY and not refresh:
        landed.forget(connection, journal.DBT_AFTER_REGISTRY)


def _bring_up_to_date(
    connection: duckdb.DuckDBPyConnection,
    node: Node,
    kinds: dict[str, str],
    run_id: str,
    refresh: Refresh | None,
    built: Built,
    *,
    is_compared: bool,
) -> None:
    put = partial(put_in_place, connection, node, kinds, run_id)
    is_grown = refresh and node.relation in kinds and node.kind == "model" and node.materialized != "view"
    if refresh is None or node.relation not in kinds or (is_compared and not is_grown):
        put()
        return
    if is_grown and refresh.is_touched(node):
        built.touched += 1
        if not refresh.put_in_place(node):
            built.whole.append(node.name)
            if refresh.is_nobodys_business(node):
                put()
                refresh.note_anew(node)
                return
            connection.execute(f"create or replace temporary table whole as from {node.relation}")
            put()
            refresh.compare(node, "temp.whole")
            connection.execute("drop table temp.whole")
            return
    if is_grown and is_compared:
        built.compared += 1
        if rows := rebuilding.rebuild(connection, refresh, node, put):
            built.differing[node.name] = rows


def _rows(connection: duckdb.DuckDBPyConnection, test: Node) -> Any:
    """Of a test, as they outlive a transaction that is rolled back."""
    return connection.sql(f"from {test.relation}").to_arrow_table()


@contextmanager
def _naming(node: Node, built: Built) -> Iterator[None]:
    """What DuckDB says of a statement, with the name of the model. After a gate that has rows, a statement that breaks
    on what the gate found is no news."""
    try:
        yield
    except duckdb.Error as error:
        if built.gates:
            raise _gated(built) from error
        built.broken.append(node.name)
        if told := storage.told(error):
            raise told from None
        what = str(error).partition("\n\nLINE ")[0]
        raise OperatorError(f"{node.kind} {node.name} broke: {what}", hint="nothing of this pass was kept") from error


def _gated(built: Built) -> OperatorError:
    tests = ", ".join(f"{test.name} ({rows} rows)" for test, rows in built.gates)
    hint = f"the rows: `make inspect`, then from {built.gates[0].test.relation}"
    return OperatorError(f"data tests did not pass: {tests}", hint=hint, exit_status=3)


def _dirty_before(connection: duckdb.DuckDBPyConnection, current: journal.Step) -> dict[str, int]:
    """Tests that warned in the last pass of this kind that built anything, and their rows."""
    row = connection.execute(
        """select detail -> '$.warnings' from ops.steps
           where step = ? and status = 'done' and detail ->> '$.nothing_new' is null and started_at < ?
           order by started_at desc limit 1""",
        [current.name, current.started_at],
    ).fetchone()
    return {warning["test"]: warning["rows"] for warning in json.loads(row[0])} if row and row[0] else {}


def _tell_of_dirty_sources(built: Built, before: dict[str, int], tell: Callable[[str], None] = say) -> None:
    """Once: what is as dirty as it was the last time is no news."""
    if built.warnings and {test.name: rows for test, rows in built.warnings} != before:
        counts = ", ".join(f"{test.name} {rows}" for test, rows in built.warnings)
        table = built.warnings[0].test.relation
        tell(f"  dirty sources, for their owners: {counts}; the rows: `make inspect`, then from {table}")


def _ask(
    connection: duckdb.DuckDBPyConnection, test: Node, kinds: dict[str, str], built: Built, refresh: Refresh | None
) -> None:
    """Count the rows of a test; they become a table where there are any, and that table goes when there are none."""
    is_kept = test.relation in kinds
    sql = refresh.statement(test) if refresh and not is_kept else test.sql
    if refresh and not refresh.is_touched(test):
        rows_of = test.relation if is_kept else "(select 1 limit 0)"
    elif is_kept:
        connection.execute(f"create or replace table {test.relation} as (\n{sql}\n)")
        rows_of = test.relation
    else:
        first = refresh.first_question(test) if refresh else ""
        is_passed = first and not connection.execute(f"from (\n{first}\n) limit 1").fetchall()
        rows_of = "(select 1 limit 0)" if is_passed else f"(\n{sql}\n)"
    ((rows,),) = connection.execute(f"select count(*) from {rows_of}").fetchall()
    if rows and not is_kept:
        connection.execute(f"create schema if not exists {test.relation.partition('.')[0]}")
        connection.execute(f"create table {test.relation} as (\n{sql}\n)")
    elif is_kept and not rows:
        connection.execute(f"drop table {test.relation}")
    built.tests += 1
    if rows and test.is_warning:
        built.warnings.append(Failing(test, rows))
    elif rows:
        built.gates.append(Failing(test, rows))
        built.failing_rows[test.relation] = _rows(connection, test)
