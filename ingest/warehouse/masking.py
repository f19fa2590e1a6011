"""SVOD_INSPECT_MASK: the copy that people look into, with nobody's name, phone or e-mail in it: `<warehouse>.masked`.

A new file, written table by table, so that no block of it has ever held what is masked. What may be read is listed, by
the names of columns: keys, numbers of companies, reasons, times. All other texts are cut to the first sign of each
word, names of companies only where a person trades under their own; documents, as they came or as they were sent, are
left out. Views are made again over what is masked.
"""

import re
from pathlib import Path

import duckdb

from ingest.warehouse import private, storage

_OF_PROGRAMS = "ops"  # steps, positions, settings: no person's data by themselves
_OF_STEPS = "intermediate"  # keys by which people meet, texts as typed: most of the file, and little is left of it
_READABLE = re.compile(
    r"(^|_)(ids?|record_keys?|source_key|inn|kpp|ogrn|ogrnip|bik|account|sources?|status(es)?|states?|reasons?|kinds?"
    r"|entity|action|stages?|positions?|codes?|types?|currency|portal|mark|rules?|test|opf|run|step|field|proof|role"
    r"|region|country|okved|layout|script|outcome|by|precedence)$"
)
_OF_COMPANIES = re.compile(
    "^(title|full_name|short_name|company_name|bank_name|bank_detail_name|requisite_name|legal_address)$"
)
_SOLE_TRADER = "^(ИП|Индивидуальн|ИНДИВИДУАЛЬН|Глава|ГЛАВА|КФХ)"
# Whatever stands in a column that may be read: an e-mail, and eleven digits that dial.
_ADDRESS, _NUMBER = r"[^\s@:]+@[^\s@]+", r"(^|[^0-9])(\+?[78][0-9]{10})($|[^0-9])"


def masked_path(warehouse: Path) -> Path:
    """Where it is."""
    return warehouse.with_name(f"{warehouse.name}.masked")


def make_masked(warehouse: Path, copy: Path, readers_group: str) -> None:
    """Write it anew from the copy of the warehouse, for `readers_group` where there is one. Raises OperatorError where
    there is no such group, duckdb.Error where there is no room."""
    target = masked_path(warehouse)
    new = target.with_name(f"{target.name}.new")
    new.unlink(missing_ok=True)
    connection = duckdb.connect()
    try:
        storage.attach(connection, copy, "plain", "read_only")
        storage.attach(connection, new, "masked")
        _fill(connection)
        connection.execute("detach masked")
    finally:
        connection.close()
    if readers_group:
        private.give_to_readers(new, readers_group)
    new.replace(target)


def _fill(connection: duckdb.DuckDBPyConnection) -> None:
    columns = connection.execute(
        """select schema_name, table_name, column_name, data_type, comment from duckdb_columns()
           inner join (select schema_name, table_name from duckdb_tables() where database_name = 'plain')
               using (schema_name, table_name)
           where database_name = 'plain' order by schema_name, table_name, column_index"""
    ).fetchall()
    tables: dict[tuple[str, str], list[tuple[str, str, str | None]]] = {}
    for schema, table, column, kind, comment in columns:
        tables.setdefault((schema, table), []).append((column, kind, comment))
    for schema in sorted({schema for schema, _ in tables}):
        connection.execute(f'create schema if not exists masked."{schema}"')
    for (schema, table), there in tables.items():
        selected = ", ".join(f'{_told(schema, column, kind)} as "{column}"' for column, kind, _ in there)
        name = f'"{schema}"."{table}"'
        connection.execute(f"create table masked.{name} as select {selected} from plain.{name}")
        for column, _, comment in there:
            if comment:
                told = comment.replace("'", "''")
                connection.execute(f"""comment on column masked.{name}."{column}" is '{told}'""")
    connection.execute("use masked")
    views = connection.execute("select sql from duckdb_views() where database_name = 'plain' and not internal")
    _make_views(connection, [sql for (sql,) in views.fetchall()])
    connection.execute("use memory")


def _make_views(connection: duckdb.DuckDBPyConnection, views: list[str]) -> None:
    """One reads another, in no order that is told. What cannot be made over what is masked is left out."""
    while views:
        left = []
        for sql in views:
            try:
                connection.execute(sql)
            except duckdb.Error:
                left.append(sql)
        if len(left) == len(views):
            return
        views = left


def _told(schema: str, column: str, kind: str) -> str:
    """SQL of a column as it may be read."""
    quoted = f'"{column}"'
    if schema == _OF_PROGRAMS or not ("VARCHAR" in kind or kind in ("JSON", "BLOB")):
        return quoted
    if schema == _OF_STEPS and not _READABLE.search(column):
        return f"null::{kind}"
    if kind == "VARCHAR[]":
        return f"list_transform({quoted}, lambda text: {_masked(column, 'text')})"
    return _masked(column, quoted) if kind == "VARCHAR" else f"null::{kind}"


def _masked(column: str, text: str) -> str:
    if _READABLE.search(column):
        return f"regexp_replace(regexp_replace({text}, '{_ADDRESS}', '•••', 'g'), '{_NUMBER}', '\\1•••\\3', 'g')"
    cut = f"regexp_replace({text}, '([\\p{{L}}\\p{{N}}])[\\p{{L}}\\p{{N}}]+', '\\1•••', 'g')"
    return f"if(regexp_matches({text}, '{_SOLE_TRADER}'), {cut}, {text})" if _OF_COMPANIES.match(column) else cut
