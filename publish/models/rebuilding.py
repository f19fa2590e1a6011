"""A build of all that looks at what it replaces: where refreshes have left other rows, that is an error, and kept.

Each table is brought up to date as by a refresh, then built as a whole, of tables that are right by then. Its rows
before and after are compared by the sum of their hashes, as the marts' stamps are, and one by one where that differs.
"""

from collections.abc import Callable, Mapping

import duckdb

from ingest.warehouse.errors import OperatorError
from publish.models.compiled import Node
from publish.models.refreshing import Refresh


def rebuild(
    connection: duckdb.DuckDBPyConnection, refresh: Refresh, node: Node, put_in_place: Callable[[], None]
) -> int:
    """Build a table as a whole; how many rows went or came by that. They are kept (see `kept_in`), and what reads the
    table takes them for changes."""
    was, kept = f"{node.relation}__was", kept_in(node.name)
    if node.materialized == "incremental":  # it is built of itself
        connection.execute(f"create table {was} as from {node.relation}")
    else:
        connection.execute(f"alter table {node.relation} rename to {was.partition('.')[2]}")
    put_in_place()
    rows = 0 if _print_of(connection, was) == _print_of(connection, node.relation) else refresh.compare(node, was)
    connection.execute(f"drop table if exists {kept}")
    if rows:
        connection.execute(f"create schema if not exists {kept.partition('.')[0]}")
        connection.execute(f"create table {kept} as from temp.differing")
    connection.execute(f"drop table {was}")
    return rows


def left_otherwise(differing: Mapping[str, int]) -> OperatorError:
    """What a build of all says that found other rows: their number by model."""
    models = ", ".join(f"{model} ({rows} rows)" for model, rows in differing.items())
    return OperatorError(
        f"refreshes had left other rows than a build of all: {models}",
        hint="they are right now, and the next run goes on; a fault of the models all the same; report its "
        f"rows: `make inspect`, then from {kept_in(next(iter(differing)))} (came: as the build of all has them)",
    )


def kept_in(model: str) -> str:
    """Where the rows of a model that differed are, until a build of all finds none."""
    return f"failures.rebuilt_{model}"


def _print_of(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int]:
    ((rows, hashes),) = connection.execute(f"select count(*), coalesce(sum(hash(r)), 0) from {table} as r").fetchall()
    return rows, hashes
