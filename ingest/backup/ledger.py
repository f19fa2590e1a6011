"""transfer.parts and the step in ops.steps, kept over short connections.

A backup takes half a day, and the warehouse has one writer: nobody may be kept out of it that long. It is opened for a
moment every half minute when there is something new, and left alone while somebody else has it. What could not be
written waits; what a kill took is proven again from the disk by the next run.
"""

from collections.abc import Iterable
from pathlib import Path

import duckdb

from ingest.backup.fetch import Download
from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import WarehouseBusy

PARTS = """
insert into transfer.parts by name
select
    $name as name, $archive as archive, $number as number, $bytes as bytes, $unpacked_bytes as unpacked_bytes,
    $sha256 as sha256, $proof as proof, $problem as problem, $attempts as attempts, $fetched_bytes as fetched_bytes,
    $rate as rate, $run_id as run_id, $updated_at as updated_at
on conflict (name) do update set
    bytes = excluded.bytes, unpacked_bytes = excluded.unpacked_bytes, sha256 = excluded.sha256, proof = excluded.proof,
    problem = excluded.problem, attempts = excluded.attempts, fetched_bytes = excluded.fetched_bytes,
    rate = coalesce(excluded.rate, rate), run_id = excluded.run_id, updated_at = excluded.updated_at
"""


class Ledger:
    """Writes down what a run did, whenever the warehouse is free."""

    def __init__(self, warehouse: Path, step: journal.Step) -> None:
        self._warehouse, self._step = warehouse, step
        self._before: dict[str, tuple[int, int]] | None = None  # by name: attempts, bytes; None: not begun
        self._written: dict[str, dict[str, object]] = {}

    def write(self, downloads: Iterable[Download], *, is_ordered: bool = False, patience: float = 0) -> bool:
        """Write what is new of these parts, and how the step goes; False when somebody has the warehouse.

        He is waited for `patience` seconds. `is_ordered`: the parts were proven to follow each other.
        """
        rows = {str(download.name): self._row(download, is_ordered=is_ordered) for download in downloads}
        if rows == self._written and self._step.status == "running" and self._before is not None:
            return True
        try:
            connection = open_warehouse(self._warehouse, patience=patience)
        except WarehouseBusy:
            return False
        try:
            connection.begin()
            self._begin(connection)
            for name, row in rows.items():
                if row != self._written.get(name):
                    self._upsert(connection, name, row)
            journal.update(connection, self._step)
            connection.commit()
        finally:
            connection.close()
        self._written = rows
        return True

    def _begin(self, connection: duckdb.DuckDBPyConnection) -> None:
        if self._before is not None:
            return
        journal.begin(connection, self._step)
        known = connection.execute("select name, attempts, fetched_bytes from transfer.parts").fetchall()
        self._before = {name: (attempts, fetched) for name, attempts, fetched in known}

    def _upsert(self, connection: duckdb.DuckDBPyConnection, name: str, row: dict[str, object]) -> None:
        attempts, fetched = (self._before or {}).get(name, (0, 0))
        of_this_run = {"run_id": self._step.run_id, "updated_at": journal.utc_now()}
        counted = {
            "attempts": attempts + int(str(row["attempts"])),
            "fetched_bytes": fetched + int(str(row["fetched_bytes"])),
        }
        connection.execute(PARTS, {"name": name} | row | counted | of_this_run)

    def _row(self, download: Download, *, is_ordered: bool) -> dict[str, object]:
        proven, name = download.proven, download.name
        proof = f"{proven.proof}, order" if proven and is_ordered else proven.proof if proven else None
        return {
            "archive": name.archive,
            "number": name.number,
            "bytes": download.size,
            "unpacked_bytes": proven.unpacked_size if proven else None,
            "sha256": proven.sha256 if proven else None,
            "proof": proof,
            "problem": download.problem,
            "attempts": download.requests,
            "fetched_bytes": download.fetched,
            "rate": download.rate,
        }
