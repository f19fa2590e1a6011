"""Files and topics once went by their own names alone in ops.watermarks and raw.dead_letters: `<source>:` goes before.

Which source one belongs to is told by the raw table that has rows of it.
"""

import re

import duckdb

_TABLES = {"file": "__companies", "topic": "__events"}
_AFTER_NAME = {"file": "@", "topic": "/"}  # in source_position
_FILE_STATE = '{"size":'
_PARTITION = re.compile(r"([A-Za-z0-9._-]+)/\d+")


def add_source_names(connection: duckdb.DuckDBPyConnection) -> None:
    """Rename what has no source yet; what no raw table tells of stays as it is."""
    named: dict[str, tuple[str, str]] = {}  # name -> its kind, its source
    for key, position in connection.execute("select source, position from ops.watermarks").fetchall():
        partition = _PARTITION.fullmatch(key) if position.isdecimal() else None
        kind, name = ("topic", partition[1]) if partition else ("file", key)
        if name in named or not (partition or position.startswith(_FILE_STATE)):
            continue
        sources = _sources(connection, _TABLES[kind])
        if not any(key.startswith(f"{source}:") for source in sources):
            of_name = [source for source in sources if _has_rows(connection, source, kind, name)]
            if len(candidates := of_name or sources) == 1:
                named[name] = kind, candidates[0]
    for name, (kind, source) in named.items():
        keys = "starts_with(source, $old || '/')" if kind == "topic" else "source = $old"
        values = {"old": name, "prefix": f"{source}:"}
        connection.execute(f"update ops.watermarks set source = $prefix || source where {keys}", values)
        connection.execute("update raw.dead_letters set source = $prefix || source where source = $old", values)


def _sources(connection: duckdb.DuckDBPyConnection, suffix: str) -> list[str]:
    rows = connection.execute(
        """select table_name from duckdb_tables()
           where schema_name = 'raw' and database_name = current_database() and ends_with(table_name, ?)""",
        [suffix],
    ).fetchall()
    return [name.removesuffix(suffix) for (name,) in rows]


def _has_rows(connection: duckdb.DuckDBPyConnection, source: str, kind: str, name: str) -> bool:
    return bool(
        connection.execute(
            f'from raw."{source}{_TABLES[kind]}" where starts_with(source_position, ?) limit 1',
            [name + _AFTER_NAME[kind]],
        ).fetchall()
    )
