"""Verdicts of the company registry from a file: CSV, NDJSON or Parquet with a column `inn`, once per version of it."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from ingest import raw
from ingest.registry import DESCRIPTION, TABLE
from ingest.warehouse import journal, storage
from ingest.warehouse.connection import transaction
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.forgotten import Memory

_MEMORY_LIMIT = "280MB"  # a file is one transaction: with the share of the streams a country's CSV now and then failed


def land_verdict_file(connection: duckdb.DuckDBPyConnection, path: Path, step: journal.Step) -> int | None:
    """Append the verdicts of a CSV, NDJSON or Parquet file that differ from the last landed; return their number.

    None for a file that was loaded before and looks unchanged. Raises OperatorError when the file is missing, is none
    of these or has no column `inn`.
    """
    if not path.is_file():
        raise OperatorError(f"there is no verdict file {path}", hint="check SVOD_REGISTRY_FILE")
    readers = {
        ".csv": "select to_json(f) as verdict from read_csv(?, all_varchar = true, header = true) as f",
        ".ndjson": "select json as verdict from read_json_objects(?, format = 'newline_delimited')",
        ".parquet": "select to_json(f) as verdict from read_parquet(?) as f",
    }
    suffix = {".jsonl": ".ndjson", ".json": ".ndjson"}.get(path.suffix.lower(), path.suffix.lower())
    if suffix not in readers:
        raise OperatorError(f"{path} is no verdict file", hint="SVOD_REGISTRY_FILE is a .csv, .ndjson or .parquet file")
    table = raw.raw_table(connection, TABLE, DESCRIPTION)
    status = path.stat()
    version = f"{status.st_size} bytes of {datetime.fromtimestamp(status.st_mtime, UTC):%Y-%m-%d %H:%M:%S.%f}"
    place = f"registry file {path.name}"
    if journal.watermark(connection, place) == version:
        return None
    given_at = datetime.fromtimestamp(status.st_mtime, UTC).replace(tzinfo=None)
    connection.execute(f"set memory_limit = '{_MEMORY_LIMIT}'")
    try:
        with transaction(connection):
            connection.execute(f"create or replace temp table verdicts as {readers[suffix]}", [str(path)])
            ((rows, without_inn),) = connection.execute(
                "select count(*), count(*) filter (coalesce(trim(verdict ->> '$.inn'), '') = '') from verdicts"
            ).fetchall()
            if rows and rows == without_inn:
                raise OperatorError(f"{path} has no column inn", hint="name the column that holds the INN `inn`")
            ((landed,),) = connection.execute(
                f"""insert into {table}
                    with read as (
                        select trim(verdict ->> '$.inn') as inn,
                               json_object('inn', inn, 'found', true, 'verdict', verdict) as payload
                        from verdicts where inn <> ''
                    ),
                    last_version as (
                        select source_key, arg_max(payload::varchar, rowid) as payload from {table} group by source_key
                    )
                    select payload, inn, ?, ? || '@' || inn, ?, ? from read
                    where not exists (
                        from last_version as last
                        where last.source_key = read.inn and last.payload = read.payload::varchar)""",
                [given_at, path.name, step.run_id, journal.utc_now()],
            ).fetchall()
            if memory := Memory.of(connection):
                memory.scrub(table, raw.table_name(table), f"run_id = '{step.run_id}'")
            journal.set_watermark(connection, place, version, step.run_id)
    except duckdb.Error as error:
        if storage.is_full(str(error)):
            raise
        raise OperatorError(
            f"{path} cannot be read: {str(error).splitlines()[0]}",
            hint="UTF-8 CSV with a header line, NDJSON or Parquet",
        ) from None
    step.rows_in += rows
    step.rows_out += landed
    return int(landed)
