"""Brings the schemas that programs write to (`schema.sql`) up to date in a warehouse of any age."""

import re
from importlib.resources import files

import duckdb

from ingest.warehouse.source_names import add_source_names

_LIKE = re.compile(r"^create table if not exists (\w+\.\w+) like (\w+\.\w+);$", re.MULTILINE)


def _spelled_out(schema: str) -> str:
    """The schema with each `create table … like …;` as the declaration of that other table says, which DuckDB has no
    word for."""

    def like(match: re.Match[str]) -> str:
        begin = schema.index(f"create table if not exists {match[2]} (")
        declaration = schema[begin : schema.index("\n);", begin) + 3]
        return declaration.replace(match[2], match[1], 1)

    return _LIKE.sub(like, schema)


SCHEMA = _spelled_out((files("ingest.warehouse") / "schema.sql").read_text(encoding="utf-8"))
ONE_PORTAL_TABLES = {  # from before a warehouse could serve several portals: name then -> name now
    "ledger": "ledger",
    "intents": "intents",
    "dead_letters": "dead_letters",
    "conflicts": "conflicts",
    "adoption_doubles": "adoption_duplicates",
}
TABLES = set(re.findall(r"create table if not exists (\w+\.\w+)", SCHEMA))
ADDED_COLUMNS = set(re.findall(r"alter table (\w+\.\w+) add column if not exists (\w+)", SCHEMA))


def is_current(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether nothing of `schema.sql` is missing, and no table is left from before: it can be read as it is."""
    columns = connection.execute(
        "select schema_name || '.' || table_name, column_name from duckdb_columns() where not internal"
    ).fetchall()
    has_portal = {table for table, column in columns if column == "portal"}
    return (
        {table for table, _ in columns} >= TABLES
        and {*columns} >= ADDED_COLUMNS
        and has_portal >= {f"sync.{name}" for name in ONE_PORTAL_TABLES.values()}
    )


def ensure_schema(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what is missing, in one transaction.

    Rows of sync tables from before these had a column `portal` are kept under the portal '' until a push claims them.
    """
    connection.begin()
    try:
        outdated = _set_one_portal_tables_aside(connection)
        connection.execute(SCHEMA)
        for old_name, new_name in outdated.items():
            connection.execute(
                f"insert into sync.{new_name} by name select '' as portal, * from sync.outdated_{old_name}"
            )
            connection.execute(f"drop table sync.outdated_{old_name}")
        add_source_names(connection)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _set_one_portal_tables_aside(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Move the sync tables that have no column `portal` to outdated_<name>; answer their names then and now.

    Copied, for a table that somebody made an index on cannot be renamed.
    """
    names = connection.execute(
        """select table_name from duckdb_columns() where schema_name = 'sync' and database_name = current_database()
           group by table_name having not bool_or(column_name = 'portal')"""
    ).fetchall()
    outdated = {name: ONE_PORTAL_TABLES[name] for (name,) in names if name in ONE_PORTAL_TABLES}
    for old_name in outdated:
        connection.execute(f"create table sync.outdated_{old_name} as from sync.{old_name}")
        connection.execute(f"drop table sync.{old_name}")
    return outdated
