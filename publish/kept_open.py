"""The warehouse of a process that stays: open while steps come one after the other, let go of in between, for people
who look into it."""

from pathlib import Path

import duckdb

from ingest.warehouse.connection import open_warehouse
from publish.screen import MEMORY_LIMIT


class KeptOpen:
    """Opened when it is first needed; `release` at any moment, and after anything that failed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: duckdb.DuckDBPyConnection | None = None

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def connection(self) -> duckdb.DuckDBPyConnection:
        """The one that writes. Raises WarehouseBusy while another program has the file open."""
        if self._connection is None:
            self._connection = open_warehouse(self.path)
        # The models, and files of verdicts, are read with settings of their own; what lands lands in its order.
        self._connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'; set preserve_insertion_order = true")
        return self._connection

    def release(self) -> None:
        """Close it: what was committed goes into the file."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()
