"""Has anything landed since the last pass that passed all its tests? Asked of counts and times, not of the rows.

raw is append-only but for retention and for people who are forgotten, which both show here. What was written by hand
into the marts shows in their stamps, a model built by hand with dbt in the journal.
"""

import hashlib

import duckdb

from ingest.warehouse import journal
from publish import stamps
from publish.models.compiled import Project

_LAST = f"""
select step, status, detail ->> '$.basis' from ops.steps
where (step = '{journal.DBT_ALL}' or step like '{journal.DBT_ALL} %') and step <> '{journal.DBT_TRANSFER}'
    and status <> 'running' and coalesce(detail ->> '$.nothing_new', '') <> 'true'
order by started_at desc limit 1
"""
_BESIDES = """
select (select max(starts_on) from ops.period), count(*), max(asked_at), max(finished_at) from ops.acts_of_forgetting
"""


def basis(connection: duckdb.DuckDBPyConnection, project: Project) -> str:
    """A digest of all that a pass is made of: the project, what landed, where the period begins, who was forgotten."""
    tables = (f"select '{table}', count(*), max(ingested_at) from {table}" for table in project.raw_tables)
    landed = connection.execute(" union all ".join(tables) + " order by 1").fetchall()
    besides = connection.execute(_BESIDES).fetchall()
    return hashlib.sha256(repr((project.digest, landed, besides)).encode()).hexdigest()


def is_built(connection: duckdb.DuckDBPyConnection, basis: str) -> bool:
    """Whether the models were last built of just this, all tests passed, and the marts are as that pass left them."""
    last = connection.execute(_LAST).fetchone()
    return last == (journal.DBT_AFTER_REGISTRY, "done", basis) and stamps.are_right(connection)
