"""What the ingesters' tests share: a journalled step, the raw rows landed, and `ingest` as a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.journal import Step


@pytest.fixture
def step() -> Step:
    """A step nobody journals."""
    return Step("run-1", "ingest test")


class Ingest:
    """The `ingest` command with its own settings and nothing of the machine's."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.warehouse = folder, folder / "svod.duckdb"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SVOD_")}
        self.environment = kept | {"SVOD_WAREHOUSE": str(self.warehouse), "PYTHONPATH": str(Path.cwd())}

    def set(self, **settings: str) -> None:
        """Set variables by their names without the prefix."""
        self.environment |= {f"SVOD_{name.upper()}": value for name, value in settings.items()}

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start a command and do not wait for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "ingest.cli", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run a command to its end, whatever that is."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def run_killed(self, *arguments: str, committed: int) -> bool:
        """Kill a command (SIGKILL) once it has committed some bytes; False when it was through before that.

        What is committed is in the write-ahead log, which is empty after `query` has opened and closed the warehouse.
        """
        log = self.warehouse.with_name(f"{self.warehouse.name}.wal")
        process = self.start(*arguments)
        while process.poll() is None and not (log.exists() and log.stat().st_size >= committed):
            time.sleep(0.002)
        was_running = process.poll() is None
        process.kill()
        process.communicate()
        return was_running

    def query(self, sql: str) -> list[tuple]:
        """Rows of a query on the warehouse."""
        connection = open_warehouse(self.warehouse)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


@pytest.fixture
def ingest(tmp_path: Path) -> Ingest:
    """The `ingest` command on an empty folder."""
    return Ingest(tmp_path)


@pytest.fixture
def rows(warehouse: duckdb.DuckDBPyConnection) -> Callable[[str], list[tuple]]:
    """The rows of a query on the test's warehouse."""
    return lambda sql: warehouse.execute(sql).fetchall()
