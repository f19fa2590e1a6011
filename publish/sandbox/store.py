"""State of the portal in one SQLite file: cards, their parts, and the small dictionaries as documents.

Every HTTP request is one transaction and every command a savepoint in it, so a killed sandbox has executed whole
commands only, and none that it answered is lost.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

from publish.sandbox.fields import CARDS, RECORDS, Field

T = TypeVar("T")
PORTAL_ZONE = timezone(timedelta(hours=3))

_SQL_TYPES = {"integer": "integer", "double": "real", "user": "integer", "file": "integer"} | {
    kind: "integer" for kind in ("crm_company", "crm_contact", "crm_lead", "crm_quote", "crm_category")
}

_TABLES = """
create table if not exists multifield (
    id integer primary key autoincrement, card text, card_id integer, type_id text, value_type text, value text,
    search_key text
);
create index if not exists multifield_of_card on multifield (card, card_id);
create index if not exists multifield_by_value on multifield (type_id, value);
create index if not exists multifield_by_search_key on multifield (type_id, search_key);
create table if not exists contact_company (
    contact_id integer, company_id integer, sort integer, is_primary text, contact_sort integer,
    is_primary_contact text, primary key (contact_id, company_id)
) without rowid;
create index if not exists contact_company_of_company on contact_company (company_id);
create table if not exists card_contact (
    card text, card_id integer, contact_id integer, sort integer, is_primary text,
    primary key (card, card_id, contact_id)
) without rowid;
create index if not exists card_contact_of_contact on card_contact (contact_id);
create table if not exists stage_history (
    id integer primary key autoincrement, card text, owner_id integer, type_id integer, created_time text,
    category_id integer, stage_semantic_id text, stage_id text
);
create table if not exists activity (
    ID integer primary key autoincrement, OWNER_ID integer, OWNER_TYPE_ID integer, TYPE_ID integer, PROVIDER_ID text,
    PROVIDER_TYPE_ID text, SUBJECT text, CREATED text, LAST_UPDATED text, START_TIME text, END_TIME text, DEADLINE text,
    COMPLETED text, STATUS integer, RESPONSIBLE_ID integer, PRIORITY integer, DESCRIPTION text,
    DESCRIPTION_TYPE integer, DIRECTION integer, LOCATION text, ORIGINATOR_ID text, ORIGIN_ID text, AUTHOR_ID integer,
    EDITOR_ID integer, SETTINGS text not null default '[]', PROVIDER_PARAMS text not null default '[]',
    COMMUNICATIONS text not null default '[]', FILES text not null default '[]'
);
create table if not exists activity_binding (
    activity_id integer, entity_type_id integer, entity_id integer, primary key (activity_id, entity_type_id, entity_id)
) without rowid;
create table if not exists comment (
    ID integer primary key autoincrement, ENTITY_TYPE text, ENTITY_ID integer, CREATED text, COMMENT text,
    AUTHOR_ID integer, FILES text not null default '[]'
);
create index if not exists comment_of_card on comment (ENTITY_TYPE, ENTITY_ID);
create table if not exists product_row (
    id integer primary key autoincrement, ownerId integer, ownerType text, productId integer, productName text,
    price real, quantity real, discountTypeId integer, discountRate real, discountSum real, taxRate real,
    taxIncluded text, measureCode integer, measureName text, sort integer, xmlId text
);
create index if not exists product_row_of_card on product_row (ownerType, ownerId);
create table if not exists requisite_link (
    ID integer primary key autoincrement, ENTITY_TYPE_ID integer, ENTITY_ID integer, REQUISITE_ID integer,
    BANK_DETAIL_ID integer, MC_REQUISITE_ID integer, MC_BANK_DETAIL_ID integer
);
create unique index if not exists requisite_link_of_card on requisite_link (ENTITY_TYPE_ID, ENTITY_ID);
create table if not exists portal_user (ID integer primary key, body text);
create table if not exists file (ID integer primary key autoincrement, NAME text, CONTENT blob);
create table if not exists counter (name text primary key, number integer);
create table if not exists document (id integer primary key autoincrement, kind text, body text);
create index if not exists document_of_kind on document (kind);
create table if not exists request_log (
    id integer primary key autoincrement, at real, method text, status integer, error text, fault text,
    commands text, errors text
);
create unique index if not exists address_key on address (TYPE_ID, ENTITY_TYPE_ID, ENTITY_ID);
create index if not exists requisite_of_card on requisite (ENTITY_TYPE_ID, ENTITY_ID);
create index if not exists requisite_by_inn on requisite (RQ_INN);
create index if not exists bank_detail_of_requisite on bank_detail (ENTITY_ID);
"""


def _column(field: Field) -> str:
    if field.name == "ID":
        return "ID integer primary key autoincrement"
    return f'"{field.name}" {_SQL_TYPES.get(field.type, "text")}'


def moment(seconds: float) -> str:
    """Epoch seconds as the portal writes times: whole seconds, its own zone, `2026-01-05T10:00:00+03:00`."""
    return datetime.fromtimestamp(int(seconds), PORTAL_ZONE).isoformat()


class Store:
    """One portal's data. Not for two processes at once: small dictionaries are cached.

    `lock` is held for the whole of a request and by everyone who reads from another thread.
    """

    def __init__(self, state: Path | str):
        self.lock = threading.RLock()
        self._cache: dict[str, dict[int, dict[str, Any]]] = {}
        self._derived: dict[str, dict[Any, Any]] = {}
        if state != ":memory:":
            Path(state).parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(state, isolation_level=None, check_same_thread=False, cached_statements=512)
        self._db.row_factory = sqlite3.Row
        self._db.create_function("folded", 1, lambda text: str(text).casefold(), deterministic=True)
        # WAL with `normal` keeps every commit through a killed process; only a power cut may lose the last ones.
        for pragma in ("journal_mode=wal", "synchronous=normal", "temp_store=memory", "cache_size=-65536"):
            self._db.execute(f"pragma {pragma}")
        self._create_tables()

    def _create_tables(self) -> None:
        for card in CARDS.values():
            columns = [_column(field) for field in card.columns] + ["UF text not null default '{}'"]
            self._db.execute(f"create table if not exists {card.table} ({', '.join(columns)})")
            self._db.execute(f"create index if not exists {card.table}_by_origin on {card.table} (ORIGIN_ID)")
            self._db.execute(f"create index if not exists {card.table}_by_creation on {card.table} (DATE_CREATE)")
        for record in RECORDS.values():
            columns = [_column(field) for field in record.columns] + ["UF text not null default '{}'"]
            self._db.execute(f"create table if not exists {record.table} ({', '.join(columns)})")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    def copy_to(self, state: Path) -> None:
        """A copy of the state so far as a file of its own, as a backup of the portal has it."""
        copy = sqlite3.connect(state)
        with self.lock:
            self._db.backup(copy)
        copy.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One HTTP request: committed as a whole, rolled back on an exception that is no error answer."""
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            self._forget()
            raise
        self._db.execute("commit")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """One command: what it wrote goes when it ends in an error, and the error goes on."""
        self._db.execute("savepoint command")
        try:
            yield
        except BaseException:
            self._db.execute("rollback to command")
            self._db.execute("release command")
            self._forget()
            raise
        self._db.execute("release command")

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return row

    def value(self, sql: str, *values: Any) -> Any:
        row = self._db.execute(sql, values).fetchone()
        return row[0] if row else None

    def write(self, sql: str, *values: Any) -> int:
        """Run one statement; the number of rows it changed."""
        return self._db.execute(sql, values).rowcount

    def write_many(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        self._db.executemany(sql, rows)

    def insert(self, table: str, row: dict[str, Any]) -> int:
        """Insert one row; its new id. Statements are reused as long as the same columns come in the same order."""
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        cursor = self._db.execute(f"insert into {table} ({names}) values ({marks})", tuple(row.values()))
        return cursor.lastrowid or 0

    def update(self, table: str, row_id: int, row: dict[str, Any]) -> None:
        if row:
            names = ", ".join(f'"{name}" = ?' for name in row)
            self._db.execute(f"update {table} set {names} where ID = ?", (*row.values(), row_id))

    def exists(self, table: str, row_id: int) -> bool:
        return self.value(f"select 1 from {table} where ID = ?", row_id) is not None

    def documents(self, kind: str) -> dict[int, dict[str, Any]]:
        """All documents of one kind by id, oldest first. Do not change them in place: `put_document`."""
        cached = self._cache.get(kind)
        if cached is None:
            rows = self.rows("select id, body from document where kind = ? order by id", kind)
            cached = self._cache[kind] = {row["id"]: json.loads(row["body"]) for row in rows}
        return cached

    def derived(self, kind: str, key: Any, build: Callable[[], T]) -> T:
        """Something computed from the documents of one kind, kept until one of them changes."""
        cached = self._derived.setdefault(kind, {})
        if key not in cached:
            cached[key] = build()
        built: T = cached[key]
        return built

    def _forget(self, kind: str | None = None) -> None:
        for cache in (self._cache, self._derived):
            cache.clear() if kind is None else cache.pop(kind, None)

    def put_document(self, kind: str, body: dict[str, Any], document_id: int | None = None) -> int:
        """Insert a document, or replace the one with this id; its id."""
        self._forget(kind)
        cursor = self._db.execute(
            "insert into document (id, kind, body) values (?, ?, ?) "
            "on conflict (id) do update set body = excluded.body",
            (document_id, kind, json.dumps(body, ensure_ascii=False)),
        )
        return cursor.lastrowid or 0 if document_id is None else document_id

    def drop_document(self, kind: str, document_id: int) -> None:
        self._forget(kind)
        self._db.execute("delete from document where id = ?", (document_id,))
