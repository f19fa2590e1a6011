"""What has landed since the models were built, and whether that is all that may have changed: by counts and times.

raw is append-only but for retention and for people who are forgotten, which both show here. What was written by hand
into the marts shows in their stamps, a model built by hand with dbt in the journal.
"""

import hashlib
from datetime import datetime

import duckdb

from ingest.warehouse import journal
from publish import stamps
from publish.models.compiled import Project

_SHARE = 0.3  # where more has landed than this share of all, all is quicker built as a whole
_FEW = 1000
_OF_MODELS = f"(step = '{journal.DBT_ALL}' or step like '{journal.DBT_ALL} %') and step <> '{journal.DBT_TRANSFER}'"
_LAST = f"""
select step, status, detail ->> '$.basis' from ops.steps
where {_OF_MODELS} and status <> 'running' and coalesce(detail ->> '$.nothing_new', '') <> 'true'
order by started_at desc limit 1
"""
_LAST_WHOLE = "select status from ops.steps where step = ? and started_at < ? order by started_at desc limit 1"
_BESIDES = """
select (select max(starts_on) from ops.period), count(*), max(asked_at), max(finished_at) from ops.acts_of_forgetting
"""


def rules(connection: duckdb.DuckDBPyConnection, project: Project) -> str:
    """A digest of what the models are built by: the project, where the period begins, who was forgotten."""
    besides = connection.execute(_BESIDES).fetchall()
    return hashlib.sha256(repr((project.digest, besides)).encode()).hexdigest()


def basis(connection: duckdb.DuckDBPyConnection, project: Project, rules: str) -> str:
    """A digest of the rules and of all that landed."""
    tables = (f"select '{table}', count(*), max(ingested_at) from {table}" for table in project.raw_tables)
    landed = connection.execute(" union all ".join(tables) + " order by 1").fetchall()
    return hashlib.sha256(repr((rules, landed)).encode()).hexdigest()


def is_built(connection: duckdb.DuckDBPyConnection, basis: str) -> bool:
    """Whether the models were last built of just this, all tests passed, and the marts are as that pass left them."""
    last = connection.execute(_LAST).fetchone()
    return last == (journal.DBT_AFTER_REGISTRY, "done", basis) and stamps.are_right(connection)


def reason_to_build_all(
    connection: duckdb.DuckDBPyConnection, project: Project, rules: str, step: str, begun_at: datetime
) -> str:
    """Why a pass that began just now cannot look at what landed alone; '' where it can."""
    seen = connection.execute(
        "select raw_table, row_count, last_row, last_ingested_at, basis, built_at from ops.model_builds where step = ?",
        [step],
    ).fetchall()
    if {table for table, *_ in seen} != set(project.raw_tables):
        return "they have not been built as a whole since"
    if any(of_build != rules for *_, of_build, _ in seen):
        return "the models, a seed, a setting or the period changed"
    last = connection.execute(_LAST_WHOLE, [journal.DBT_AFTER_REGISTRY, begun_at]).fetchone()
    if last and last[0] != "done" and step != journal.DBT_TRANSFER:
        return "the last pass did not end well"  # the one before the registry did: they are no longer of one state
    by_hand = connection.execute(
        f"""from ops.steps where {_OF_MODELS} and started_at > ? and started_at < ? and detail ->> '$.basis' is null""",
        [max(built_at for *_, built_at in seen), begun_at],
    ).fetchone()
    if by_hand:
        return "a pass did not end, or somebody built models by hand"
    if step == journal.DBT_AFTER_REGISTRY and not stamps.are_right(connection):
        return "a mart is not as it was left"
    old = new = 0
    for table, rows, last_row, last_ingested_at, *_ in seen:
        ((there, latest, all_rows),) = connection.execute(
            f"""select count(*) filter (rowid <= {last_row}), max(ingested_at) filter (rowid <= {last_row}), count(*)
                from {table}"""
        ).fetchall()
        if (there, latest) != (rows, last_ingested_at):
            return f"rows of {table} went"
        old, new = old + rows, new + all_rows - rows
    if new > max(_FEW, _SHARE * old):
        return f"much has landed, {new:,} rows"
    return ""


def seen(connection: duckdb.DuckDBPyConnection, step: str) -> dict[str, int]:
    """The last row of each raw table that a pass has seen."""
    sql = "select raw_table, last_row from ops.model_builds where step = ?"
    return dict(connection.execute(sql, [step]).fetchall())


def note(connection: duckdb.DuckDBPyConnection, project: Project, rules: str, step: str) -> None:
    """Keep how far a pass has seen; call it in the transaction of the pass."""
    connection.execute("delete from ops.model_builds where step = ?", [step])
    for table in project.raw_tables:
        connection.execute(
            f"""insert into ops.model_builds
                select ?, ?, count(*), coalesce(max(rowid), -1), max(ingested_at), ?, ? from {table}""",
            [step, table, rules, journal.utc_now()],
        )


def forget(connection: duckdb.DuckDBPyConnection, step: str) -> None:
    """Let the next pass of a step build all."""
    connection.execute("delete from ops.model_builds where step = ?", [step])
