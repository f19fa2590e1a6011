"""dlt's `sql_database` with its pyarrow backend, the peer of `ingest mysql`: same tables, same server, into DuckDB.

Run as a process of its own, as every stage of the bench: `python -m tests.bench.peer_dlt URL FOLDER`.
"""

import os
import shutil
import sys
from pathlib import Path

from tests.installation import Ended, Installation

TABLES = ["clients", "client_contacts", "orders"]
QUIET = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}


def land(url: str, folder: Path) -> tuple[int, Ended]:
    """Land shop A's tables (`mysql://…`) into a new DuckDB file in `folder`; return the rows and how it ended."""
    shutil.rmtree(folder, ignore_errors=True)
    peer = Installation(folder, QUIET | {"DLT_DATA_DIR": str(folder / "dlt")})
    ended = peer.run(sys.executable, "-m", "tests.bench.peer_dlt", url, str(folder))
    if ended.status:
        sys.exit(f"dlt failed with status {ended.status}:\n{ended.output}")
    return int(ended.output.split()[-1]), ended


def main(url: str, folder: str) -> None:
    """Land the tables and print the number of rows. Needs requirements-bench.txt."""
    import dlt
    from dlt.sources.sql_database import sql_database

    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=os.environ["DLT_DATA_DIR"],
        destination=dlt.destinations.duckdb(f"{folder}/dlt.duckdb"),
        dataset_name="shop_a",
    )
    source = sql_database(url.replace("mysql://", "mysql+pymysql://", 1), backend="pyarrow", table_names=TABLES)
    pipeline.run(source, write_disposition="replace").raise_on_failed_jobs()
    counts = pipeline.last_trace.last_normalize_info.row_counts
    print(sum(counts[table] for table in TABLES))


if __name__ == "__main__":
    main(*sys.argv[1:])
