"""Takes people out of every table of the warehouse, in the caller's transaction, and looks whether anything is left.

Tables of the models are told by their columns, so that a new one needs no line here: rows about a contact go, a deal
loses its contact, and any other text loses the person's phones and e-mails.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import duckdb

from ingest.warehouse import parts_of_people
from ingest.warehouse.forgotten import Memory, name_pairs, tokens, without_values
from publish import portal_people
from publish.parts import Link, Part
from publish.people import EMAIL_VALUE, PHONE_VALUE, Asked, Person

OF_MODELS = ("staging", "intermediate", "marts", "failures", "refresh")
_WRITTEN = ("sync", "transfer")  # schemas of what portals hold of ours
_KEPT = ("ledger", "portals", "parts")  # a part that is there stays known
_SYNC = (
    "ledger", "intents", "updates_under_way", "merges_under_way", "dead_letters", "conflicts", "adoption_duplicates",
    "deletions", "history",
)  # fmt: skip
_ABOUT_PEOPLE = ("contact", "person")  # in the names of tables
_CONTACT = "contact"
_TEXTS_OF_PEOPLE = "intermediate.int_contacts__name_words"


class Table(NamedTuple):
    """A base table and its columns with their types."""

    schema: str
    name: str
    columns: dict[str, str]

    @property
    def place(self) -> str:
        return f'{self.schema}."{self.name}"'

    @property
    def is_about_people(self) -> bool:
        return any(word in self.name for word in _ABOUT_PEOPLE)


def remember(
    connection: duckdb.DuckDBPyConnection, memory: Memory, asked: Asked, people: Sequence[Person], act: str
) -> None:
    """Keep what these people are known again by. A phone or an e-mail that others have, too, or that is made for
    everybody, is remembered with the person's name only."""
    keys = [key for person in people for key in person.record_keys]
    values, others = _values(connection, keys)
    values |= {value for value in (asked.phone_value if asked.phone else "", asked.email_value) if value}
    shared = values & others
    names = _names(connection, keys)
    pairs = {pair for name in names for pair in name_pairs(name)}
    memory.remember([("record", key) for key in keys], act)
    memory.remember([("value", value) for value in values - shared], act)
    memory.remember([("shared", value) for value in shared], act)
    memory.remember([("named", f"{value} {pair}") for value in shared for pair in pairs], act)


def erase(
    connection: duckdb.DuckDBPyConnection, memory: Memory, people: Sequence[Person], parts: Iterable[Part]
) -> dict[str, int]:
    """Erase everywhere; table -> rows that were deleted or changed."""
    _gather(connection, people)
    texts = _texts(connection)
    erased: Counter[str] = Counter()
    erased["ops.snapshot_rows"] += portal_people.forget_what_is_under_way(connection)
    for table in tables(connection, "raw"):
        if "payload" in table.columns and table.name != "envelope":
            is_letters = table.columns["payload"] == "BLOB"
            changed = memory.scrub_bytes(table.place) if is_letters else memory.scrub(table.place, table.name)
            erased[table.place] += changed
    of_portals = parts_of_people.erase(connection)
    if of_portals or any(_is_of_portal(place) for place in erased if erased[place]):
        erased.update(of_portals)
        erased.update(portal_people.empty_the_models(connection))
    connection.execute("drop schema if exists refresh cascade")  # has names as keys; all is built after this
    for schema in OF_MODELS:
        for table in tables(connection, schema):
            erased[table.place] += _erase_rows(connection, table) + _cut_values(connection, table)
    erased.update(_erase_words(connection, texts))
    erased.update(_erase_sync(connection, list(parts)))
    return {table.replace('"', ""): rows for table, rows in sorted(erased.items()) if rows}


def _is_of_portal(place: str) -> bool:
    return any(f'"{portal}__' in place for portal in ("cloud", "box"))


def leftovers(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """What is still found in any column of any table: rows with a phone or an e-mail; rows with a full name (of a
    namesake, or as the register publishes it)."""
    of_values: dict[str, int] = {}
    of_names: dict[str, int] = {}
    patterns = [name.lower() for name in names if " " in name.strip()]
    for schema in ("raw", *OF_MODELS, *_WRITTEN, "ops"):
        for table in tables(connection, schema):
            place = table.place.replace('"', "")
            if lines := _lines_with_values(connection, table):
                of_values[place] = len(lines)
            ((count,),) = connection.execute(
                f"""select count(*) from {table.place} as whole, (select unnest(?::varchar[]) as name) as sought
                    where contains(lower({_as_text(table)}), sought.name)""",
                [patterns],
            ).fetchall()
            if count:
                of_names[place] = count
    return of_values, of_names


def full_names(connection: duckdb.DuckDBPyConnection, people: Sequence[Person]) -> list[str]:
    """Names as they were entered and as they were read."""
    return _names(connection, [key for person in people for key in person.record_keys])


def tables(connection: duckdb.DuckDBPyConnection, schema: str) -> list[Table]:
    """The base tables of a schema."""
    rows = connection.execute(
        """select table_name, list(column_name order by column_index), list(data_type order by column_index)
           from duckdb_columns() semi join duckdb_tables() using (database_name, schema_name, table_name)
           where schema_name = ? and database_name = current_database() group by 1 order by 1""",
        [schema],
    ).fetchall()
    return [Table(schema, name, dict(zip(names, types, strict=True))) for name, names, types in rows]


def _gather(connection: duckdb.DuckDBPyConnection, people: Sequence[Person]) -> None:
    keys = [key for person in people for key in person.record_keys]
    ids = [person_id for person in people for person_id in person.ids]
    connection.execute(
        "create or replace temp table leaving_records as select distinct unnest(?::varchar[]) as id", [keys]
    )
    connection.execute(
        "create or replace temp table leaving_people as select distinct unnest(?::varchar[]) as id", [ids]
    )


def _values(connection: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> tuple[set[str], set[str]]:
    """Phones and e-mails of these records in the form that is remembered, and those that are also somebody else's or
    made for everybody."""
    if not keys:
        return set(), set()
    rows = connection.execute(
        f"""with given as (
               select record_key, {PHONE_VALUE} as value, coalesce(kind = 'toll_free', false) as is_everybodys
               from intermediate.int_contacts__phones
               union all
               select record_key, {EMAIL_VALUE}, mailbox is not null
               from intermediate.int_contacts__emails
               left join intermediate.role_mailboxes on mailbox = split_part(address, '@', 1)
           )
           select value, bool_or(is_everybodys or record_key not in (select unnest($1::varchar[])))
           from given group by 1
           having bool_or(record_key in (select unnest($1::varchar[])))
               and (length(value) = 10 or contains(value, '@'))""",
        [[*keys]],
    ).fetchall()
    return {value for value, _ in rows}, {value for value, is_others in rows if is_others}


def _names(connection: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> list[str]:
    if not keys:
        return []
    rows = connection.execute(
        """select distinct unnest([contact_name_raw, contact_name, concat_ws(' ', last_name, first_name),
               concat_ws(' ', first_name, last_name)]) as name
           from intermediate.int_contacts__cleaned
           left join intermediate.int_contacts__validated using (record_key)
           where record_key in (select unnest(?::varchar[]))""",
        [[*keys]],
    ).fetchall()
    return [name for (name,) in rows if name and name.strip()]


def _texts(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Names and posts of those who leave, as entered: other tables keep each text once."""
    if not portal_people.is_table(connection, _TEXTS_OF_PEOPLE):
        return []
    rows = connection.execute(
        """select distinct unnest([contact_name_raw, post_raw]) from intermediate.int_contacts__unioned
           where record_key in (select id from leaving_records)"""
    ).fetchall()
    return [text for (text,) in rows if text]


def _erase_rows(connection: duckdb.DuckDBPyConnection, table: Table) -> int:
    """Rows about those who leave; of a deal, its contact only."""
    has = table.columns.keys().__contains__
    records, people = "(select id from leaving_records)", "(select id from leaving_people)"
    conditions = []
    if has("contact_id") and has("deal_id"):
        return _count(connection.execute(f"update {table.place} set contact_id = null where contact_id in {people}"))
    if has("contact_id"):
        conditions.append(f"contact_id in {people}")
    if has("entity") and has("record_key"):
        conditions.append(f"entity = '{_CONTACT}' and record_key in {records}")
    elif has("record_key") and table.is_about_people:
        conditions.append(f"record_key in {records}")
    if has("entity") and has("golden_id"):
        conditions.append(f"entity = '{_CONTACT}' and golden_id in {people}")
    if has("left_key") and has("right_key") and table.is_about_people:
        conditions.append(f"left_key in {records} or right_key in {records}")
    if has("source") and has("source_id") and not has("record_key") and table.is_about_people:
        conditions.append(f"source || ':' || source_id in {records}")
    if not conditions:
        return 0
    return _count(connection.execute(f"delete from {table.place} where {' or '.join(f'({c})' for c in conditions)}"))


def _as_text(table: Table) -> str:
    """All columns of a row, `whole`, as one text; bytes as far as they are one."""
    blobs = [name for name, kind in table.columns.items() if kind == "BLOB"]
    texts = "".join(f" || coalesce(try(decode(whole.{name})), whole.{name}::varchar, '')" for name in blobs)
    return f"(to_json(whole)::varchar{texts})"


def _lines_with_values(connection: duckdb.DuckDBPyConnection, table: Table) -> dict[int, set[str]]:
    """Row ids, and which phones and e-mails of forgotten people are there."""
    if table.place == 'ops."forgotten"':
        return {}
    by_line: dict[int, set[str]] = {}
    for line, value in connection.execute(
        f"""select distinct line, value from ({tokens(f"{table.place} as whole", _as_text(table), "true")})
            where keyed_hash(value) in (select digest from ops.forgotten where kind = 'value')"""
    ).fetchall():
        by_line.setdefault(line, set()).add(value)
    return by_line


def _cut_values(connection: duckdb.DuckDBPyConnection, table: Table) -> int:
    """A row about people, or of a failed test, goes when it has a forgotten phone or e-mail; other texts lose it."""
    by_line = _lines_with_values(connection, table)
    if not by_line:
        return 0
    if table.is_about_people or table.schema == "failures":
        connection.execute(f"delete from {table.place} where rowid in (select unnest(?::bigint[]))", [[*by_line]])
        return len(by_line)
    for line, values in by_line.items():
        for column in (name for name, kind in table.columns.items() if kind == "VARCHAR"):
            ((text,),) = connection.execute(f"select {column} from {table.place} where rowid = ?", [line]).fetchall()
            if text and (cut := without_values(text, values)) != text:
                connection.execute(f"update {table.place} set {column} = ? where rowid = ?", [cut, line])
    return len(by_line)


def _erase_words(connection: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> dict[str, int]:
    """Texts that are kept once, whoever has them: those that nobody has any more."""
    if not portal_people.is_table(connection, _TEXTS_OF_PEOPLE):  # only portals were read
        return {}
    words = _count(
        connection.execute(
            """delete from intermediate.int_contacts__name_words
               where word not in (select unnest(words) from intermediate.int_contacts__names_split)"""
        )
    )
    repaired = _count(
        connection.execute(
            """delete from intermediate.int_texts__repaired
               where text_raw in (select unnest(?::varchar[])) and text_raw not in (
                   select unnest([contact_name_raw, post_raw]) from intermediate.int_contacts__unioned
                   where contact_name_raw is not null and post_raw is not null)""",
            [[*texts]],
        )
    )
    return {"intermediate.int_contacts__name_words": words, "intermediate.int_texts__repaired": repaired}


def _erase_sync(connection: duckdb.DuckDBPyConnection, parts: Sequence[Part]) -> dict[str, int]:
    """What portals hold of them, in all tables of schema sync; the deals that refer to them refer to nobody."""
    erased: dict[str, int] = {}
    conditions = [f"entity = '{_CONTACT}' and origin_id in (select id from leaving_people)"]
    for link in (part for part in parts if isinstance(part, Link)):
        for place, end in enumerate((link.holder.entity, link.other.entity), start=1):
            if end == _CONTACT:
                end_id = f"split_part(origin_id, '/', {place})"
                conditions.append(f"entity = '{link.entity}' and {end_id} in (select id from leaving_people)")
    where = " or ".join(f"({condition})" for condition in conditions)
    for name in _SYNC:
        erased[f"sync.{name}"] = _count(connection.execute(f"delete from sync.{name} where {where}"))
    for entity, field in _references(parts):
        for column, table in (
            ("sent", "ledger"),
            ("wanted", "ledger"),
            ("wanted", "intents"),
            ("wanted", "dead_letters"),
        ):
            untold = f"""regexp_replace({column}::varchar, '"{field}":"[^"]*"', '"{field}":null')"""
            connection.execute(
                f"""update sync.{table} set {column} = {untold} where entity = ?
                    and json_extract_string({column}, '$.{field}') in (select id from leaving_people)""",
                [entity],
            )
    for other in (table for schema in _WRITTEN for table in tables(connection, schema)):
        if other.name not in _KEPT and (lines := _lines_with_values(connection, other)):
            name = f"{other.schema}.{other.name}"
            erased[name] = erased.get(name, 0) + _count(
                connection.execute(f"delete from {other.place} where rowid in (select unnest(?::bigint[]))", [[*lines]])
            )
    return erased


def _references(parts: Iterable[Part]) -> Iterator[tuple[str, str]]:
    for part in parts:
        for field in part.references:
            if field.refers_to == _CONTACT:
                yield part.entity, field.name


def cards_of(connection: duckdb.DuckDBPyConnection, people: Sequence[Person]) -> list[dict[str, object]]:
    """Cards of these people in all portals, as the ledger knows them."""
    ids = [person_id for person in people for person_id in person.ids]
    rows = connection.execute(
        """select portal, origin_id, bitrix_id from sync.ledger
           where entity = ? and origin_id in (select unnest(?::varchar[])) and bitrix_id is not null order by 1, 3""",
        [_CONTACT, ids],
    ).fetchall()
    return [{"portal": portal, "origin_id": origin_id, "bitrix_id": number} for portal, origin_id, number in rows]


def _count(result: duckdb.DuckDBPyConnection) -> int:
    row = result.fetchone()
    return int(row[0]) if row else 0
