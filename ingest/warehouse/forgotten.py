"""ops.forgotten: people who asked to be forgotten, known again by keyed hashes alone, and taken out of what lands.

A hash is HMAC-SHA256 (RFC 2104) under a key that is not in the warehouse: without one, 10^10 phone numbers are soon
tried out. What is remembered of a person: the keys of their records at the sources; each phone and e-mail that was
theirs alone (`value`); of those that others have as well (`shared`), the value together with their name (`named`).

Where a source keeps people, table `intermediate.people_in_sources` says (a seed of the models; `people_in_portals` for
portals), so that no source is known here by its name. All this is SQL over a batch: Python sees the few rows only that
somebody is in.
"""

import hashlib
import hmac
import itertools
import json
import os
import re
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec

from ingest.warehouse import private
from ingest.warehouse.environment import PREFIX, env_value
from ingest.warehouse.errors import SettingsError

PLACES = "intermediate.people_in_sources"
PLACES_OF_PORTALS = "intermediate.people_in_portals"
_BLOCK = 64  # bytes that SHA-256 works on, for HMAC
_CHECK = "svod"  # its hash tells whether a key is the right one
# Digits with nothing but spaces, hyphens, dots and brackets between them, or an e-mail.
_FOUND = r"""[0-9][0-9 \x{00A0}().–-]{8,}[0-9]|[^\s"<>,;:\\()\[\]]+@[^\s"<>,;:\\()\[\]]+"""
_FOUND_IN_PYTHON = re.compile(_FOUND.replace(r"\x{00A0}", "\u00a0"))
_BETWEEN_DIGITS = " ().–-\u00a0"
_NO_PHONES = re.compile(r"(?i)(inn|kpp|ogrn|ogrnip|bik|account|okpo|oktmo|uid|id)$")  # keys of other long numbers

encoder = msgspec.json.Encoder(decimal_format="number")


class Place(NamedTuple):
    """Where a raw table has people: the JSON path of the objects (`$`: the row is one), and their fields; of the name
    several, with blanks between them."""

    people_path: str
    key_field: str
    name_field: str
    phones_field: str
    emails_field: str


def key_file(warehouse: Path) -> Path:
    """Where the key is unless SVOD_FORGET_KEY says it."""
    return warehouse.with_name(f"{warehouse.name}.forget-key")


def values_of(text: str) -> set[str]:
    """Phones and e-mails in a text in the form that is remembered: the last ten digits, the address in lower case."""
    return {value for token in _FOUND_IN_PYTHON.findall(text) for value in _read(token)}


def name_pairs(name: str) -> set[str]:
    """Every two words of a name, in the order of the alphabet: whoever is written like this has them in common."""
    words = sorted(set(re.findall(r"[^\W\d_]+", name.lower().replace("ё", "е"))))
    return {f"{a} {b}" for a, b in itertools.combinations(words, 2)}


def without_values(text: str, values: set[str]) -> str:
    """A text without these phones and e-mails, however they are written; all else of it stays."""
    return _FOUND_IN_PYTHON.sub(lambda token: "" if values.intersection(_read(token[0])) else token[0], text)


class Memory:
    """What is remembered, on an open connection. Its key is in the variables of the connection, and nowhere else."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
        self.connection, self._key = connection, key
        block = hashlib.sha256(key).digest() if len(key) > _BLOCK else key
        block = block.ljust(_BLOCK, b"\0")
        connection.execute("set variable forgotten_inner = ?::blob", [bytes(byte ^ 0x36 for byte in block)])
        connection.execute("set variable forgotten_outer = ?::blob", [bytes(byte ^ 0x5C for byte in block)])
        connection.execute(
            """create or replace temp macro keyed_hash(text) as sha256(getvariable('forgotten_outer')
                   || unhex(sha256(getvariable('forgotten_inner') || encode(text))))"""
        )
        # Two thirds cheaper, keyed as well: these 16 bits tell of most that lands that it is nobody who is remembered.
        connection.execute("set variable forgotten_key = ?::blob", [hashlib.sha256(key).digest()])
        connection.execute(
            """create or replace temp macro keyed_mark(text) as
                   left(sha256(getvariable('forgotten_key') || encode(text)), 4)"""
        )

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection) -> "Memory | None":
        """The memory, or None while nobody is forgotten. Raises SettingsError when its key is gone or another one."""
        check = connection.execute("select digest from ops.forgotten where kind = 'key'").fetchone()
        if check is None:
            return None
        warehouse = _path_of(connection)
        key = _given_key() or _kept_key(warehouse)
        memory = cls(connection, key) if key else None
        if memory is None or memory.digest(_CHECK) != check[0]:
            raise SettingsError(
                f"{'the key' if memory is None else 'this is not the key'} by which forgotten people are known again"
                f"{' is missing' if memory is None else ''}: nothing lands that may bring them back",
                hint=f"put {key_file(warehouse)} back, or {PREFIX}FORGET_KEY, as it was",
            )
        return memory

    @classmethod
    def made(cls, connection: duckdb.DuckDBPyConnection) -> "Memory":
        """The memory, made with a new key unless there is one. Inside the caller's transaction."""
        if memory := cls.of(connection):
            return memory
        warehouse = _path_of(connection)
        memory = cls(connection, _given_key() or _kept_key(warehouse) or _new_key(warehouse))
        memory.remember([("key", _CHECK)], "")
        return memory

    def digest(self, text: str) -> str:
        """The hash of a text as it is remembered."""
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def remember(self, texts: Iterable[tuple[str, str]], act: str) -> None:
        """Keep hashes of (kind, text), those that are not kept yet."""
        kinds, values = [list(column) for column in zip(*texts, strict=True)] or ([], [])
        self.connection.execute(
            """insert into ops.forgotten
               select distinct keyed_hash(text), keyed_mark(text), kind, ?, now() at time zone 'UTC'
               from (select unnest(?::varchar[]) as text, unnest(?::varchar[]) as kind)
               where (keyed_hash(text), kind) not in (select (digest, kind) from ops.forgotten)""",
            [act, values, kinds],
        )

    def scrub(self, relation: str, raw_table: str, where: str = "true") -> int:
        """Take the forgotten out of the column `payload` (JSON) of a table that has rows of a raw table; a row that is
        one of them goes. How many rows were changed or went."""
        places = self._places(raw_table)
        by_line: dict[int, set[str]] = defaultdict(set)
        for line, value in self._found(relation, raw_table, places, where):
            by_line[line].add(value)
        if not by_line:
            return 0
        rows = self.connection.execute(
            f"select rowid, payload::varchar from {relation} where rowid in (select unnest(?::bigint[]))", [[*by_line]]
        ).fetchall()
        kinds = self._kinds(set().union(*by_line.values()))
        source = raw_table.partition("__")[0]
        gone, changed = [], {}
        for line, payload in rows:
            scrubbed = self._without(payload, source, places, {value: kinds[value] for value in by_line[line]})
            if scrubbed is None:
                gone.append(line)
            elif scrubbed != payload:
                changed[line] = scrubbed
        self.connection.execute(f"delete from {relation} where rowid in (select unnest(?::bigint[]))", [gone])
        self.connection.execute(
            f"""update {relation} set payload = scrubbed.text::json
                from (select unnest(?::bigint[]) as line, unnest(?::varchar[]) as text) as scrubbed
                where {relation}.rowid = scrubbed.line""",
            [[*changed], [*changed.values()]],
        )
        return len(gone) + len(changed)

    def scrub_bytes(self, relation: str) -> int:
        """Take away the column `payload` (bytes that could not be read) of rows that somebody forgotten is in."""
        text = "coalesce(try(decode(payload)), payload::varchar)"
        lines = self.connection.execute(
            f"""select distinct line from ({tokens(relation, text, "payload is not null")})
                where keyed_hash(value) in (select digest from ops.forgotten where kind = 'value')"""
        ).fetchall()
        self.connection.execute(
            f"update {relation} set payload = null where rowid in (select unnest(?::bigint[]))",
            [[line for (line,) in lines]],
        )
        return len(lines)

    def _places(self, raw_table: str) -> list[Place]:
        """None where the models were never built: to ask all the same would end the transaction."""
        seeds = self.connection.execute(
            "select concat_ws('.', schema_name, table_name) as seed from duckdb_tables() where seed in (?, ?)",
            [PLACES, PLACES_OF_PORTALS],
        ).fetchall()
        fields = ", ".join(Place._fields)
        asked = [f"select {fields} from {seed} where raw_table = $1" for (seed,) in seeds]
        rows = self.connection.execute(" union all ".join(asked), [raw_table]).fetchall() if asked else []
        return [Place(*row) for row in rows]

    def _found(self, relation: str, raw_table: str, places: Sequence[Place], where: str) -> list[tuple[int, str]]:
        """Rows and the phones, e-mails and record keys in them that are remembered."""
        # JSON of ours has no escaped letters; in that of others a number may hide behind \u00a0.
        text = r"if(contains(payload::varchar, '\u'), json(payload)::varchar, payload::varchar)"
        parts = [tokens(relation, text, where)]
        source = raw_table.partition("__")[0]
        for place in places:
            key = f"json_extract_string(payload, '{place.people_path}.{place.key_field}')"
            keys = f"unnest({key})" if "*" in place.people_path else key
            parts.append(
                f"""select line, '{source}:' || record_key as value from (
                        select rowid as line, {keys} as record_key from {relation} where {where})"""
            )
        return self.connection.execute(
            f"""with likely as materialized (
                    select line, value from ({" union all ".join(parts)})
                    where keyed_mark(value) in (select mark from ops.forgotten)
                )
                select distinct line, value from likely
                where keyed_hash(value) in (
                    select digest from ops.forgotten where kind in ('value', 'shared', 'record'))"""
        ).fetchall()

    def _kinds(self, values: Iterable[str]) -> dict[str, set[str]]:
        rows = self.connection.execute(
            """select value, list(kind) from (select unnest(?::varchar[]) as value)
               inner join ops.forgotten on digest = keyed_hash(value) group by all""",
            [[*values]],
        ).fetchall()
        return {value: set(kinds) for value, kinds in rows}

    def _without(self, payload: str, source: str, places: Sequence[Place], kinds_of: dict[str, set[str]]) -> str | None:
        """A payload without the people who were found in it, and without their phones and e-mails elsewhere; None when
        it is one of them."""
        document = json.loads(payload, parse_float=Decimal)
        root = [document]  # so that the document can be taken out of something, too
        for place in places:
            for holder in _holders(root, place.people_path):
                holder[:] = [
                    person
                    for person in holder
                    if not (isinstance(person, dict) and self._is_forgotten(person, source, place, kinds_of))
                ]
        if not root:
            return None
        own = {value for value, kinds in kinds_of.items() if "value" in kinds}
        return encoder.encode(_cut(root[0], own)).decode() if own or places else payload

    def _is_forgotten(self, person: dict[str, Any], source: str, place: Place, kinds_of: dict[str, set[str]]) -> bool:
        if "record" in kinds_of.get(f"{source}:{person.get(place.key_field)}", ()):
            return True
        told = json.dumps([person.get(place.phones_field), person.get(place.emails_field)], ensure_ascii=False)
        known = values_of(told) & kinds_of.keys()
        if any("value" in kinds_of[value] for value in known):
            return True
        if not known:
            return False
        name = " ".join(str(person.get(field) or "") for field in place.name_field.split())
        pairs = name_pairs(name)
        named = [self.digest(f"{value} {pair}") for value in known for pair in pairs]
        return bool(
            self.connection.execute(
                "select 1 from ops.forgotten where kind = 'named' and digest in (select unnest(?::varchar[])) limit 1",
                [named],
            ).fetchone()
        )


def tokens(relation: str, text: str, where: str) -> str:
    """The query for `line` (row id) and `value` of the phones and e-mails in a text of each row, as remembered."""
    digits = f"translate(token, '{_BETWEEN_DIGITS}', '')"
    return f"""
        with found as (
            select rowid as line, unnest(regexp_extract_all({text}, '{_FOUND}')) as token
            from {relation} where {where}
        ),
        told_apart as materialized ( -- dates and long numbers, which are most, leave before anything is made of them
            select line, token, case when not contains(token, '@') then {digits} end as digits from found
            where not (starts_with(token, '20') and token[5] = '-')
                and (length(token) < 13 or length(token) in (21, 22) or regexp_matches(token, '[^0-9]'))
        )
        select line, coalesce(digits[-10:], lower(rtrim(token, '.'))) as value from told_apart
        where digits is null or length(digits) between 10 and 24
        union all
        select line, if(digits[1] in ('7', '8'), digits[2:11], digits[:10]) from told_apart
        where length(digits) between 16 and 24"""


def _read(token: str) -> Iterable[str]:
    """The same of one token. Thirteen digits and more with nothing between them are an account, no phone; more than 15
    are two phones with a space between them."""
    if "@" in token:
        return [token.rstrip(".").lower()]
    digits = token.translate({ord(mark): None for mark in _BETWEEN_DIGITS})
    is_date = token.startswith("20") and token[4] == "-"
    is_long_number = token == digits and len(token) >= 13 and len(token) not in (21, 22)
    if is_date or is_long_number or not 10 <= len(digits) <= 24:
        return []
    if len(digits) < 16:
        return [digits[-10:]]
    return [digits[-10:], digits[1:11] if digits[0] in "78" else digits[:10]]


def _holders(root: list[Any], path: str) -> Iterable[list[Any]]:
    """The lists that a path's objects are in: `$` is the row itself, `$.company.persons[*]` a list in an object."""
    if path == "$":
        return [root]
    at: Any = root[0] if root else None
    for name in path.removeprefix("$.").removesuffix("[*]").split("."):
        at = at.get(name) if isinstance(at, dict) else None
    return [at] if isinstance(at, list) else []


def _cut(node: Any, values: set[str], key: str = "") -> Any:
    """A JSON value without these phones and e-mails; all else of a text stays."""
    if isinstance(node, dict):
        return {name: _cut(inner, values, name) for name, inner in node.items()}
    if isinstance(node, list):
        return [_cut(inner, values, key) for inner in node]
    if _NO_PHONES.search(key):
        return node
    if isinstance(node, str):
        return without_values(node, values)
    if isinstance(node, int) and not isinstance(node, bool):
        return None if values.intersection(_read(str(node))) else node
    return node


def _path_of(connection: duckdb.DuckDBPyConnection) -> Path:
    ((path,),) = connection.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchall()
    return Path(path)


def _given_key() -> bytes | None:
    text = env_value(f"{PREFIX}FORGET_KEY")
    if text and len(text) < 32:
        raise SettingsError(f"{PREFIX}FORGET_KEY is too short", hint="expected: 32 characters or more, drawn by lot")
    return text.encode() if text else None


def _kept_key(warehouse: Path) -> bytes | None:
    file = key_file(warehouse)
    return file.read_bytes().strip() or None if file.is_file() else None


def _new_key(warehouse: Path) -> bytes:
    """Drawn by lot, and on the disk before anything is hashed with it."""
    key = secrets.token_hex(32).encode()
    descriptor = private.create(key_file(warehouse))
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return key
