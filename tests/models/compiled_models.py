"""The dbt models run in memory: compiled once by dbt, then executed on any raw rows, in a second instead of ten."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
from dbt.cli.main import dbtRunner

from tests.models.sql_rules import PROJECT

ENVELOPE = """
    payload json, source_key varchar, source_at timestamp, source_position varchar,
    run_id varchar, ingested_at timestamp
"""
LANDED_AT = "2026-10-02 12:00:00"


class CompiledModels:
    """`target` (a model's name) and everything it needs, as a first run on an empty warehouse compiles them."""

    def __init__(self, folder: Path, target: str) -> None:
        self._database = "models_in_memory"
        place = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(folder / "target")]
        outcome = dbtRunner().invoke(
            ["--quiet", "--log-path", str(folder), "compile", "--select", f"+{target}", *place]
        )
        assert outcome.success, outcome.exception or [r.message for r in outcome.result]
        nodes = {r.node.unique_id: r.node for r in outcome.result if r.node.resource_type in ("model", "seed")}
        self._steps: list[tuple[str, str]] = []
        while nodes:
            ready = [n for n in nodes.values() if not nodes.keys() & set(n.depends_on_nodes)]
            for node in ready:
                self._steps.append((f"{node.schema}.{node.name}", node.compiled_code or self._seed(node)))
                del nodes[node.unique_id]
        manifest = json.loads((folder / "target" / "manifest.json").read_text())
        read = {source for r in outcome.result for source in r.node.depends_on_nodes}
        self.raw_tables = sorted(
            source["identifier"]
            for name, source in manifest["sources"].items()
            if source["schema"] == "raw" and name in read
        )

    @staticmethod
    def _seed(node) -> str:
        path = PROJECT / node.original_file_path
        types = ", ".join(f"'{column}': '{kind}'" for column, kind in node.config.column_types.items())
        return f"select * from read_csv('{path}', header = true, types = {{{types}}})"

    def build(self, raw: Mapping[str, Iterable[tuple]]) -> duckdb.DuckDBPyConnection:
        """All the models built on raw rows: table -> (payload as a Python value, source_key, source_at, position)."""
        connection = duckdb.connect()
        connection.execute(f"set timezone = 'UTC'; attach ':memory:' as {self._database}; use {self._database}")
        for schema in ("raw", "staging", "intermediate", "marts"):
            connection.execute(f"create schema {schema}")
        for table in self.raw_tables:
            connection.execute(f"create table raw.{table} ({ENVELOPE})")
            rows = [
                (
                    None if payload is None else json.dumps(payload, ensure_ascii=False),
                    key,
                    at,
                    position,
                    "r",
                    LANDED_AT,
                )
                for payload, key, at, position in raw.get(table, ())
            ]
            if rows:
                connection.executemany(f"insert into raw.{table} values (?, ?, ?, ?, ?, ?)", rows)
        for name, query in self._steps:
            connection.execute(f"create table {name} as {query}")
        return connection
