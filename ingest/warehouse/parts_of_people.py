"""People who were taken out of a source that is read whole: they go in all versions, and with them what hangs on them.

Which raw tables those are, two seeds of the models say. That a record was erased is told by its versions: one that a
snapshot had (ops.snapshot_keys) and that has no raw row. So it stays away when the source is read again, for whatever
did not change since then does not land, and what hangs on it goes whenever it lands.
"""

from collections import Counter
from collections.abc import Sequence

import duckdb

from ingest.warehouse.forgotten import PLACES_OF_PORTALS

PARTS = "intermediate.parts_of_people"
_DEEPEST = 3  # card, requisite, bank detail


def are_known(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the models have said where such sources have people; true where none was read."""
    ((is_read,),) = connection.execute("select exists (from ops.snapshots where completed_at is not null)").fetchall()
    return not is_read or (_is_there(connection, PLACES_OF_PORTALS) and _is_there(connection, PARTS))


def erase(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Take away what is left of erased people, in the caller's transaction; table -> rows."""
    if not (_is_there(connection, PLACES_OF_PORTALS) and _is_there(connection, PARTS)):
        return {}
    erased: Counter[str] = Counter()
    for (table,) in connection.execute(f"select raw_table from {PLACES_OF_PORTALS} where people_path = '$'").fetchall():
        if _is_there(connection, f"raw.{table}"):
            erased[f"raw.{table}"] += _delete(connection, table, f"source_key in ({_gone(table)})", [])
    parts = connection.execute(
        f"select raw_table, owner_table, owner_path, type_path, owner_type from {PARTS}"
    ).fetchall()
    for _ in range(_DEEPEST):
        for table, owner_table, owner_path, type_path, owner_type in parts:
            if _is_there(connection, f"raw.{table}") and _is_there(connection, f"raw.{owner_table}"):
                is_theirs = f"json_extract_string(payload, ?) in ({_gone(owner_table)})"
                values = [owner_path]
                if type_path:
                    is_theirs += " and json_extract_string(payload, ?) = ?"
                    values += [type_path, owner_type]
                erased[f"raw.{table}"] += _delete(connection, table, is_theirs, values)
    return {table: rows for table, rows in erased.items() if rows}


def _gone(table: str) -> str:
    """The query for the keys of records of which a version was erased."""
    source, _, entity = table.partition("__")
    return f"""select version.source_key from ops.snapshot_keys as version
        where version.source = '{source}' and version.entity = '{entity}' and version.digest <> '' and not exists (
            from raw."{table}" as landed where landed.source_key = version.source_key
                and landed.source_position = version.from_snapshot::varchar)"""


def _delete(connection: duckdb.DuckDBPyConnection, table: str, where: str, values: Sequence[str]) -> int:
    ((rows,),) = connection.execute(f'delete from raw."{table}" where {where}', [*values]).fetchall()
    return int(rows)


def _is_there(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    schema, _, name = table.partition(".")
    sql = (
        "select 1 from duckdb_tables() where schema_name = ? and table_name = ? and database_name = current_database()"
    )
    return connection.execute(sql, [schema, name]).fetchone() is not None
