"""Where words are found in what an installation keeps: the bytes of files, the texts of tables."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb

_TABLES = "select schema_name || '.\"' || table_name || '\"' from duckdb_tables()"


def places_with(words: Sequence[str], files: Iterable[Path], warehouse: Path) -> list[str]:
    """Files whose bytes have a word, and tables a row of which has it, as a text in whatever letters."""
    found = []
    for file in files:
        if file.is_file():
            content = file.read_bytes()
            found += [f"{file.name}: {word}" for word in words if word.encode() in content]
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for (table,) in connection.execute(_TABLES).fetchall():
            of_bytes = ", decode(payload)" if table == 'raw."dead_letters"' else ""
            text = f"select string_agg(lower(concat(whole::varchar{of_bytes})), chr(10)) from {table} as whole"
            ((content,),) = connection.execute(text).fetchall()
            found += [f"{table}: {word}" for word in words if content and word.lower() in content]
    return found
