"""Brings the schemas that programs write to (`schema.sql`) up to date in a warehouse of any age."""

import re
from importlib.resources import files

import duckdb

from ingest.warehouse.source_names import add_source_names

SCHEMA = (files("ingest.warehouse") / "schema.sql").read_text(encoding="utf-8")
ONE_PORTAL_TABLES = {  # from before a warehouse could serve several portals: name then -> name now
    "ledger": "ledger",
    "intents": "intents",
    "dead_letters": "dead_letters",
    "conflicts": "conflicts",
    "adoption_doubles": "adoption_duplicates",
}
SOURCE_TABLES = ("ledger", "intents", "dead_letters", "history")  # of schema transfer, whose rows name their cloud now
# The cloud that a row of before is of: the one that its box was given for, else any that is known of it.
_SOURCE = """coalesce(
    (select source_portal from transfer.boxes as box where box.portal = line.portal and source_portal is not null
        order by baseline_at desc nulls last limit 1),
    (select source_portal from transfer.id_map where starts_with(target, line.portal || '#') limit 1),
    (select portal from ops.snapshots where source = 'cloud' order by snapshot_id desc limit 1), '')"""
_SCHEMAS = ("ops", "raw", "sync", "transfer")
TABLES = set(re.findall(r"create table if not exists (\w+\.\w+)", SCHEMA))
ADDED_COLUMNS = set(re.findall(r"alter table (\w+\.\w+) add column if not exists (\w+)", SCHEMA))
_COMMENTS = {
    table: comment.replace("''", "'")
    for table, comment in re.findall(r"comment on table (\w+\.\w+) is\s+'((?:[^']|'')*)'", SCHEMA)
}


def is_current(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether nothing of `schema.sql` is missing, and no table is left from before: it can be read as it is."""
    columns = connection.execute(
        """select schema_name || '.' || table_name, column_name from duckdb_columns()
           where database_name = current_database() and list_contains(?, schema_name)""",
        [_SCHEMAS],
    ).fetchall()
    has_portal = {table for table, column in columns if column == "portal"}
    has_source = {table for table, column in columns if column == "source_portal"}
    return (
        {table for table, _ in columns} >= TABLES
        and {*columns} >= ADDED_COLUMNS
        and has_portal >= {f"sync.{name}" for name in ONE_PORTAL_TABLES.values()}
        and has_source >= {f"transfer.{name}" for name in SOURCE_TABLES}
    )


def _is_as_said(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether running `schema.sql` once more would change nothing: that takes half of the time of opening a warehouse,
    and a run opens it a dozen times."""
    if not is_current(connection):
        return False
    told = connection.execute(
        """select schema_name || '.' || table_name, comment from duckdb_tables()
           where database_name = current_database() and list_contains(?, schema_name)""",
        [_SCHEMAS],
    ).fetchall()
    has_rows = connection.execute("select exists (from ops.period) and exists (from ops.warehouse)").fetchone()
    return dict(told).items() >= _COMMENTS.items() and has_rows == (True,)


def ensure_schema(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what is missing, in one transaction.

    Rows of sync tables from before these had a column `portal` are kept under the portal '' until a push claims them;
    those of transfer tables from before they had a column `source_portal` are of the cloud that their box was given
    for.
    """
    connection.begin()
    try:
        if not _is_as_said(connection):
            _bring_up_to_date(connection)
        add_source_names(connection)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _bring_up_to_date(connection: duckdb.DuckDBPyConnection) -> None:
    outdated = _set_aside(connection, "sync", "portal", ONE_PORTAL_TABLES)
    of_no_cloud = _set_aside(connection, "transfer", "source_portal", {name: name for name in SOURCE_TABLES})
    connection.execute(SCHEMA)
    for old_name, new_name in outdated.items():
        connection.execute(f"insert into sync.{new_name} by name select '' as portal, * from sync.outdated_{old_name}")
        connection.execute(f"drop table sync.outdated_{old_name}")
    for name in of_no_cloud:
        connection.execute(
            f"""insert into transfer.{name} by name
                select {_SOURCE} as source_portal, line.* from transfer.outdated_{name} as line"""
        )
        connection.execute(f"drop table transfer.outdated_{name}")


def _set_aside(
    connection: duckdb.DuckDBPyConnection, schema: str, column: str, names_now: dict[str, str]
) -> dict[str, str]:
    """Move those tables of a schema that lack a column to outdated_<name>; answer their names then and now.

    Copied, for a table that somebody made an index on cannot be renamed.
    """
    names = connection.execute(
        """select table_name from duckdb_columns() where schema_name = ? and database_name = current_database()
           group by table_name having not bool_or(column_name = ?)""",
        [schema, column],
    ).fetchall()
    outdated = {name: names_now[name] for (name,) in names if name in names_now}
    for old_name in outdated:
        connection.execute(f"create table {schema}.outdated_{old_name} as from {schema}.{old_name}")
        connection.execute(f"drop table {schema}.{old_name}")
    return outdated
