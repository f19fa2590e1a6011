"""SVOD_RETENTION_DAYS: old versions in raw go, each record's newest one stays; so do old dead letters and failures,
and what was sent to portals before: only a portal put back from a copy older than that would show it again.

Which version is a record's newest, the models say: every row of schema staging names the raw row it was read from. Of
sources that are read whole, ops.snapshot_keys say it; what the box was when it was restored (a snapshot with the label
`baseline`) stays, for the comparison of a move rests on it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import duckdb

from ingest.warehouse import journal

STEP = "retention"
_LINEAGE = "source_position, run_id, ingested_at"
_NAMED = {"source_position", "run_id", "ingested_at"}


def let_go(connection: duckdb.DuckDBPyConnection, days: int) -> dict[str, int]:
    """Delete what is older than so many days and not the newest of its record; table -> rows that went.

    Nothing goes that the models have not read: before their first pass, nothing at all.
    """
    row = connection.execute(
        "select max(started_at) from ops.steps where step = ? and status = 'done'", [journal.DBT_AFTER_REGISTRY]
    ).fetchone()
    if row is None or row[0] is None:
        return {}
    before = min(journal.utc_now() - timedelta(days=days), row[0])
    gone: dict[str, int] = {}
    connection.begin()
    try:
        _gather_newest(connection)
        for table in _tables(connection, "raw", {*_NAMED, "source_key"}):
            gone[f"raw.{table}"] = _delete_versions(connection, f'raw."{table}"', before)
        gone |= _let_go_of_snapshots(connection, before)
        for schema, tables in {"raw": ["dead_letters"], "failures": _tables(connection, "failures", _NAMED)}.items():
            for table in tables:
                gone[f"{schema}.{table}"] = _count(
                    connection.execute(f'delete from {schema}."{table}" where ingested_at < ?', [before])
                )
        gone["sync.history"] = _count(connection.execute("delete from sync.history where sent_at < ?", [before]))
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
    return {table: rows for table, rows in gone.items() if rows}


def _gather_newest(connection: duckdb.DuckDBPyConnection) -> None:
    """Temp table `newest_versions`: the raw rows that staging reads. A table of versions numbers them from the newest
    on: the first, and the first with a content, are read."""
    connection.execute(
        "create or replace temp table newest_versions (source_position text, run_id text, ingested_at timestamp)"
    )
    for name, columns in connection.execute(
        """select table_name, list(column_name) from information_schema.columns
           where table_schema = 'staging' and table_catalog = current_database() group by 1"""
    ).fetchall():
        if not {*columns} >= _NAMED or ("version_number" in columns and "content_number" not in columns):
            continue
        where = "where version_number = 1 or content_number = 1" if "version_number" in columns else ""
        connection.execute(f'insert into newest_versions select {_LINEAGE} from staging."{name}" {where}')


def _delete_versions(connection: duckdb.DuckDBPyConnection, table: str, before: datetime) -> int:
    """Of a table that no model reads row by row (headers of files) nothing goes."""
    is_read = connection.execute(
        f"select 1 from {table} semi join newest_versions using ({_LINEAGE}) limit 1"
    ).fetchone()
    if not is_read:
        return 0
    return _count(
        connection.execute(
            f"""delete from {table} where ingested_at < ? and rowid not in (
                    select version.rowid from {table} as version semi join newest_versions using ({_LINEAGE})
                    union all -- what landed last: with it the next read of the source is compared
                    select max(rowid) from {table} where source_key is not null group by source_key)""",
            [before],
        )
    )


def _let_go_of_snapshots(connection: duckdb.DuckDBPyConnection, before: datetime) -> dict[str, int]:
    """Delete versions that a snapshot completed so long ago had no more, with their keys."""
    connection.execute(
        """create or replace temp table ended_versions as
           select version.* from ops.snapshot_keys as version
           inner join ops.snapshots as ended on ended.source = version.source
               and ended.snapshot_id = version.to_snapshot and ended.completed_at < ?
           anti join (from ops.snapshots where label = 'baseline') as restored on restored.source = version.source
               and restored.snapshot_id >= version.from_snapshot and restored.snapshot_id < version.to_snapshot""",
        [before],
    )
    gone: dict[str, int] = {}
    for source, entity in connection.execute("select distinct source, entity from ended_versions").fetchall():
        gone[f"raw.{source}__{entity}"] = _count(
            connection.execute(
                f"""delete from raw."{source}__{entity}" where (source_key, source_position) in (
                        select (source_key, from_snapshot::varchar) from ended_versions
                        where source = ? and entity = ?)""",
                [source, entity],
            )
        )
    connection.execute("delete from ops.snapshot_keys where (source, entity, source_key, from_snapshot) in ("
                       "select (source, entity, source_key, from_snapshot) from ended_versions)")  # fmt: skip
    return gone


def _tables(connection: duckdb.DuckDBPyConnection, schema: str, columns: set[str]) -> Sequence[str]:
    rows = connection.execute(
        """select table_name from duckdb_columns() semi join duckdb_tables()
               using (database_name, schema_name, table_name)
           where schema_name = ? and database_name = current_database()
           group by 1 having list_has_all(list(column_name), ?::varchar[]) order by 1""",
        [schema, [*columns]],
    ).fetchall()
    return [name for (name,) in rows if name != "envelope"]


def _count(result: duckdb.DuckDBPyConnection) -> int:
    row = result.fetchone()
    return int(row[0]) if row else 0
