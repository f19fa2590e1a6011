"""What somebody may have typed to name a company, a person or an order, and which source records it leads to."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import duckdb

Entity = Literal["company", "contact", "order"]
MOST_FOUND = 20
_ID = re.compile(r"[cp]-[0-9a-f]{16}")
_LINK = re.compile(r"/crm/(company|contact|deal)/(?:details|show)/(\d+)")
_TITLE_OF_ORDER = re.compile(r"^заказ\s+", re.IGNORECASE)  # as the deal is called in the CRM
_CARDS: dict[str, Entity] = {"company": "company", "contact": "contact", "deal": "order"}

_BY_RECORD = """
    select 'company' as entity, record_key from intermediate.int_companies__outcomes where record_key = $1
    union all select 'contact', record_key from intermediate.int_contacts__outcomes where record_key = $1
    union all select 'order', record_key from intermediate.int_orders__outcomes where record_key = $1"""
_BY_ID = """
    with recursive fate as (
        select golden_id, merged_into, members, entity from intermediate.int_records__identities where golden_id = $1
        union all
        select later.golden_id, later.merged_into, later.members, later.entity
        from fate inner join intermediate.int_records__identities as later on later.golden_id = fate.merged_into
    )
    select entity, unnest(members) as record_key from fate where merged_into is null"""
_BY_INN = """
    select 'company', record_key from intermediate.int_companies__cleaned where inn = $1 or inn_raw = $1"""
_BY_NUMBER = (
    "select 'contact', record_key from intermediate.int_contacts__phones where number in ('+' || $1, '+7' || $2)"
)
_BY_PHONE_AS_TYPED = """
    select 'contact', record_key from intermediate.int_contacts__phones
    where number is null and right(regexp_replace(phone_raw, '[^0-9]', '', 'g'), 10) = $2 and length($1) >= 5"""
_BY_EMAIL = """
    select 'contact', record_key from intermediate.int_contacts__emails
    where address = lower($1) or lower(email_raw) = lower($1)"""
_BY_ORDER = "select 'order', record_key from intermediate.int_orders__outcomes where lower(order_number) = lower($1)"
_BY_CARD = "select entity, origin_id from analysis.cards where bitrix_id = $1::bigint"
_NAMED = """
    select 'company', record_key from intermediate.int_companies__cleaned where {company}
    union all select 'contact', record_key from intermediate.int_contacts__unioned where {contact}
    union all select 'contact', record_key from intermediate.int_contacts__unioned
    inner join intermediate.int_texts__repaired on text_raw = contact_name_raw where {repaired}"""

# The id that a record has now, else the one it had last.
_ID_OF: dict[Entity, str] = {
    "company": """select coalesce(
        (select company_id from intermediate.int_companies__clustered where record_key = $1),
        (select arg_max(company_id, minted_at) from intermediate.int_companies__identities
         where merged_into is null and list_contains(members, $1)))""",
    "contact": """select coalesce(
        (select contact_id from intermediate.int_contacts__outcomes where record_key = $1),
        (select arg_max(contact_id, minted_at) from intermediate.int_contacts__identities
         where merged_into is null and list_contains(members, $1)))""",
}
_MEMBERS = "select members from intermediate.int_records__identities where golden_id = $1"


class Subject(NamedTuple):
    """What a story is told of: its kind, its id where it has or had one, its source records."""

    entity: Entity
    golden_id: str
    record_keys: tuple[str, ...]


def subjects(connection: duckdb.DuckDBPyConnection, key: str) -> list[Subject]:
    """All that a key may mean, MOST_FOUND at the most: an INN, a phone, an e-mail, a name, the number of an order, the
    key of a record (`shop_a:17`), our id, the number of a card or its link."""
    records: list[tuple[Entity, str]] = []
    for sql, parameters in _readings(key.strip()):
        records = connection.execute(sql, parameters).fetchall()
        if sql.startswith(_BY_CARD):
            records = [record for entity, origin in records for record in _of_card(connection, _CARDS[entity], origin)]
        if records:
            break
    told: dict[Subject, None] = {}
    known: set[str] = set()
    for entity, record_key in records:
        if record_key in known or len(told) >= MOST_FOUND:
            continue
        subject = _whole(connection, entity, record_key)
        known.update(subject.record_keys)
        told[subject] = None
    return list(told)


def _readings(key: str) -> Iterator[tuple[str, list[object]]]:
    """The ways to read a key, the likeliest first: the first one that leads anywhere is meant."""
    digits = re.sub(r"\D", "", key)
    if link := _LINK.search(key):
        yield f"{_BY_CARD} and entity = $2", [link[2], link[1]]
        return
    if ":" in key:
        yield _BY_RECORD, [key]
    if _ID.fullmatch(key):
        yield _BY_ID, [key]
    if "@" in key:
        yield _BY_EMAIL, [key]
        return
    is_number = not re.search(r"[^\d\s()+.–—-]", key)
    if is_number and len(digits) in (10, 12):
        yield _BY_INN, [digits]
    if is_number and len(digits) >= 10:
        yield _BY_NUMBER, [digits, digits[-10:]]
    yield _BY_ORDER, [_TITLE_OF_ORDER.sub("", key)]
    if is_number and digits == key and len(digits) < 10:
        yield _BY_CARD, [digits]
    if is_number:
        yield _BY_PHONE_AS_TYPED, [digits, digits[-10:]]
        yield _BY_INN, [key]
        return
    yield _BY_INN, [key]
    yield from _by_name(re.findall(r"\w+", key))


def _by_name(words: Sequence[str]) -> Iterator[tuple[str, list[object]]]:
    """All words of a name: spelled as most spell them, which is looked for fast; else however they are spelled."""
    if not words:
        return
    spellings = [(word.lower(), word.capitalize(), word.upper()) for word in words]
    place = iter(range(1, 3 * len(words) + 1))
    each = [" or ".join(f"contains({{text}}, ${next(place)})" for _ in spelled) for spelled in spellings]
    every = " and ".join(f"({condition})" for condition in each)
    flat: list[object] = [word for spelled in spellings for word in spelled]
    yield _named(every), flat
    folded = " and ".join(f"contains(lower(replace({{text}}, 'ё', 'е')), ${n})" for n in range(1, len(words) + 1))
    yield _named(folded), [word.lower().replace("ё", "е") for word in words]


def _named(condition: str) -> str:
    """Of companies the name as cleaned; of people as entered, or as it was meant where its letters were lost."""
    columns = {"company": "company_name", "contact": "contact_name_raw", "repaired": "text"}
    return _NAMED.format(**{record: condition.format(text=column) for record, column in columns.items()})


def _of_card(connection: duckdb.DuckDBPyConnection, entity: Entity, origin_id: str) -> list[tuple[Entity, str]]:
    if entity == "order":
        return [("order", origin_id)]
    rows = connection.execute(_BY_ID, [origin_id]).fetchall()
    return [(entity, record_key) for _, record_key in rows] or [(entity, origin_id)]


def _whole(connection: duckdb.DuckDBPyConnection, entity: Entity, record_key: str) -> Subject:
    """The record with all others that are one with it."""
    if entity == "order":
        return Subject(entity, record_key, (record_key,))
    row = connection.execute(_ID_OF[entity], [record_key]).fetchone()
    if row is None or row[0] is None:
        return Subject(entity, "", (record_key,))
    members = connection.execute(_MEMBERS, [row[0]]).fetchall()
    return Subject(entity, row[0], tuple(members[0][0]) if members else (record_key,))
