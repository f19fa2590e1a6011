"""Who is meant in portals that were read whole: cards with a phone or an e-mail that is remembered as forgotten.

Where such portals have people, the seed people_in_portals of the models says.
"""

from collections.abc import Sequence

import duckdb

from ingest.warehouse.forgotten import PLACES_OF_PORTALS, Memory, values_of

_BUILT = ("intermediate", "marts")
_OF_THE_MOVE = ("int_transfer__", "transfer_")  # tables that the models of a move build


def remember(connection: duckdb.DuckDBPyConnection, memory: Memory, act: str) -> list[str]:
    """Remember the other phones and e-mails of these people as well, those that nobody else's card has; their names."""
    cards = _cards(connection)
    known = _remembered(connection, {value for _, _, values in cards for value in values})
    theirs = [card for card in cards if known & card[2]]
    keys = {key for key, _, _ in theirs}
    others = {value for key, _, values in cards if key not in keys for value in values}
    own = {value for _, _, values in theirs for value in values} - others
    memory.remember([("value", value) for value in sorted(own)], act)
    return sorted({name for _, name, _ in theirs if name})


def _cards(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, set[str]]]:
    """(table and key, name, phones and e-mails) of every version of every card of a person."""
    cards: list[tuple[str, str, set[str]]] = []
    for table, names, phones in _places(connection):
        fields = [*names.split(), phones]
        paths = ", ".join(f"'$.{field}'" for field in fields)
        for key, texts in connection.execute(f'select source_key, payload ->> [{paths}] from raw."{table}"').fetchall():
            name = " ".join(text for text in texts[:-1] if text)
            cards.append((f"{table}:{key}", name, values_of(texts[-1] or "")))
    return cards


def _places(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    if not is_table(connection, PLACES_OF_PORTALS):
        return []
    rows = connection.execute(
        f"select raw_table, name_field, phones_field from {PLACES_OF_PORTALS} where people_path = '$' order by 1"
    ).fetchall()
    return [row for row in rows if is_table(connection, f"raw.{row[0]}")]


def _remembered(connection: duckdb.DuckDBPyConnection, values: Sequence[str] | set[str]) -> set[str]:
    rows = connection.execute(
        """select value from (select unnest(?::varchar[]) as value)
           where keyed_hash(value) in (select digest from ops.forgotten where kind = 'value')""",
        [sorted(values)],
    ).fetchall()
    return {value for (value,) in rows}


def empty_the_models(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Empty what the models of a move have built, and what was read of files; the next pass does both again."""
    emptied: dict[str, int] = {}
    ((files,),) = connection.execute("delete from transfer.files").fetchall()
    emptied["transfer.files"] = int(files)
    for schema, table in connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = current_database()"
    ).fetchall():
        if schema in _BUILT and table.startswith(_OF_THE_MOVE) and table != "transfer_fields":
            ((rows,),) = connection.execute(f'delete from {schema}."{table}"').fetchall()
            emptied[f"{schema}.{table}"] = int(rows)
    return emptied


def forget_what_is_under_way(connection: duckdb.DuckDBPyConnection) -> int:
    """A snapshot that broke off is begun anew; how many of its rows went."""
    ((rows,),) = connection.execute("delete from ops.snapshot_rows").fetchall()
    connection.execute("delete from ops.snapshot_reads")
    connection.execute("delete from ops.snapshots where completed_at is null")
    return int(rows)


def is_table(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether there is a table of this name, `schema.name`."""
    schema, _, name = table.partition(".")
    sql = (
        "select 1 from duckdb_tables() where schema_name = ? and table_name = ? and database_name = current_database()"
    )
    return connection.execute(sql, [schema, name]).fetchone() is not None
