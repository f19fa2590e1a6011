"""The dbt models as the product has them compiled, once for all tests; run in memory on any raw rows, in a second."""

import json
import os
from collections.abc import Iterable, Mapping

import duckdb

from publish.models import compiled
from publish.models.compiled import Node, Project
from tests.installation import COMPILED, ROOT
from tests.models.sql_rules import PROJECT

ENVELOPE = """
    payload json, source_key varchar, source_at timestamp, source_position varchar,
    run_id varchar, ingested_at timestamp
"""
LANDED_AT = "2026-10-02 12:00:00"


def compiled_project(**settings: str) -> Project:
    """The project with these settings and none of this machine's, compiled where all tests have it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SVOD_", "DBT_"))}
    place = str(ROOT / COMPILED)
    return compiled.project(PROJECT, environment | settings | {"DBT_TARGET_PATH": place, "DBT_LOG_PATH": place})


class CompiledModels:
    """`target` (a model's name) and everything it needs, as a first run on an empty warehouse builds them."""

    def __init__(self, target: str) -> None:
        project = compiled_project(SVOD_SINCE="2025-01-01")
        needed = _with_parents(project.nodes, f"model.svod.{target}")
        in_order = [node_id for each in project.passes.values() for node_id in each.node_ids if node_id in needed]
        nodes = [project.nodes[node_id] for node_id in in_order]
        assert {*in_order} == needed
        self._steps = [(node.relation, _query(node)) for node in nodes]
        read = {relation for node in nodes for relation in node.reads}
        self._raw_tables = [table for table in project.raw_tables if table in read]

    def build(self, raw: Mapping[str, Iterable[tuple]]) -> duckdb.DuckDBPyConnection:
        """All the models built on raw rows: table -> (payload as a Python value, source_key, source_at, position)."""
        connection = duckdb.connect()
        connection.execute("set timezone = 'UTC'")
        for schema in ("raw", "staging", "intermediate", "marts"):
            connection.execute(f"create schema {schema}")
        for table in self._raw_tables:
            connection.execute(f"create table {table} ({ENVELOPE})")
            rows = [
                (
                    None if payload is None else json.dumps(payload, ensure_ascii=False),
                    key,
                    at,
                    position,
                    "r",
                    LANDED_AT,
                )
                for payload, key, at, position in raw.get(table.removeprefix("raw."), ())
            ]
            if rows:
                connection.executemany(f"insert into {table} values (?, ?, ?, ?, ?, ?)", rows)
        for name, query in self._steps:
            connection.execute(f"create table {name} as {query}")
        return connection


def _with_parents(nodes: Mapping[str, Node], node_id: str) -> set[str]:
    needed, left = set[str](), [node_id]
    while left:
        if (one := left.pop()) not in needed:
            needed.add(one)
            left += nodes[one].parents
    return needed


def _query(node: Node) -> str:
    if node.kind != "seed":
        return node.first_sql or node.sql
    types = ", ".join(f"'{column.name}': '{column.data_type}'" for column in node.columns)
    return f"select * from read_csv('{node.sql}', header = true, types = {{{types}}})"
