"""Cards in the store: making, changing and deleting them with everything that hangs on them.

The two families of methods (`crm.item.*` and the classic ones) decode their own names and forms into a Draft; what
happens then is the same for both.
"""

import re
import sqlite3
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from publish.sandbox import books, links, userfields, values
from publish.sandbox.fields import CARDS, Card, Field
from publish.sandbox.store import PORTAL_ZONE, Store, moment

_NOT_DIGITS = re.compile(r"\D")


@dataclass(slots=True)
class Multi:
    """One thing to do to the phones, e-mails and so on of a card: add a value, change one by id, or drop one by id."""

    type_id: str
    value: str | None = None
    value_type: str | None = None
    id: int | None = None


@dataclass(slots=True)
class Draft:
    """What a client wants of a card, in kept form. `linked` are companies of a contact, contacts of any other card;
    `primary` is its primary link, 0 for none. None: not sent."""

    values: dict[str, Any] = field(default_factory=dict)
    user_values: dict[str, Any] = field(default_factory=dict)
    multifields: list[Multi] = field(default_factory=list)
    linked: list[int] | None = None
    primary: int | None = None


def search_key(type_id: str, value: str) -> str:
    """What duplicates are searched by: the digits of a phone (8 and 7 are one country), an e-mail in small letters."""
    if type_id != "PHONE":
        return value.strip().casefold()
    digits = _NOT_DIGITS.sub("", re.split(r"(?i)доб|ext|[,;#x]", value)[0])
    return "7" + digits[1:] if len(digits) == 11 and digits[0] == "8" else digits


def default(store: Store, card: Card, item: Field, draft: Draft, user: int, now: float) -> Any:
    """What a field takes that a new card is not given."""
    match item.default:
        case None:
            return None
        case "@user":
            return user
        case "@today" | "@week" as name:
            created = draft.values.get("DATE_CREATE")  # of an import that tells it
            day = values.parse_time(created) if created else datetime.fromtimestamp(now, PORTAL_ZONE)
            return (day + timedelta(days=7 if name == "@week" else 0)).date().isoformat()
        case str(text) if text.startswith("@"):
            return books.first_value(store, stage_book(card, item, draft.values))
    return {"integer": int, "crm_category": int, "double": float}.get(item.type, str)(item.default)


def stage_book(card: Card, item: Field, held: dict[str, Any]) -> str:
    """The book of a status field; deal stages have one book a funnel."""
    book = card.book_of(item) or ""
    funnel = held.get("CATEGORY_ID") or 0
    return f"{book}_{funnel}" if book == "DEAL_STAGE" and funnel else book


def _settle_stage(store: Store, card: Card, row: dict[str, Any]) -> dict[str, Any]:
    """What follows from the stage of a card: its group, whether it is closed, whether it is new."""
    if card.stage is None or row.get(card.stage) is None:
        return {}
    book = stage_book(card, card.fields[card.stage], row)
    group = books.semantics(store, book, row[card.stage])
    settled = {"CLOSED": "N" if group == "P" else "Y"}
    settled |= {f"{card.stage[:-3]}_SEMANTIC_ID": group}
    settled |= {"IS_NEW": "Y" if row[card.stage] == books.first_value(store, book) else "N"}
    return {name: value for name, value in settled.items() if name in card.fields}


def create(store: Store, card: Card, draft: Draft, user: int, now: float) -> int:
    """Insert a card with its parts; its id."""
    at = moment(now)
    row = {}
    for item in card.columns:
        value = draft.values.get(item.name)
        if value is None and item.name not in draft.values:
            value = default(store, card, item, draft, user, now)
        row[item.name] = value
    del row["ID"]
    row["DATE_CREATE"] = row["DATE_CREATE"] or at
    row["DATE_MODIFY"] = row["DATE_MODIFY"] or row["DATE_CREATE"]
    row["LAST_ACTIVITY_TIME"] = row["DATE_CREATE"]
    if "MOVED_TIME" in row:
        row["MOVED_TIME"] = row["MOVED_TIME"] or row["DATE_CREATE"]
    row |= _settle_stage(store, card, row)
    fields = userfields.definitions(store, card)
    user_values = {**userfields.defaults(fields), **draft.user_values} if fields else {}
    row["UF"] = values.to_json(user_values)
    sent = {multi.type_id for multi in draft.multifields if multi.value}
    if card.has_multifields:
        row["HAS_PHONE"] = "Y" if "PHONE" in sent else "N"
        row["HAS_EMAIL"] = "Y" if "EMAIL" in sent else "N"
    card_id = store.insert(card.table, row)
    if "TITLE" in row and not row["TITLE"]:
        store.update(card.table, card_id, {"TITLE": f"{card.title} #{card_id}"})
    if draft.multifields:
        _apply_multifields(store, card, card_id, draft.multifields)
    if draft.linked or draft.primary:
        linked = draft.linked if draft.linked is not None else [draft.primary or 0]
        links.set_card_links(store, card, card_id, linked, draft.primary)
    if card.stage:
        _log_stage(store, card, card_id, row, 1, at)
    return card_id


def _log_stage(store: Store, card: Card, card_id: int, row: dict[str, Any], type_id: int, at: str) -> None:
    store.insert(
        "stage_history",
        {
            "card": card.name,
            "owner_id": card_id,
            "type_id": type_id,
            "created_time": at,
            "category_id": row.get("CATEGORY_ID") or 0,
            "stage_semantic_id": row.get("STAGE_SEMANTIC_ID") or row.get("STATUS_SEMANTIC_ID") or "P",
            "stage_id": row[card.stage or ""],
        },
    )


def update(
    store: Store, card: Card, held: sqlite3.Row, draft: Draft, user: int, now: float, *, only_if_changed: bool
) -> bool:
    """Change a card; whether anything was saved. The universal method saves nothing when nothing differs."""
    card_id, at = held["ID"], moment(now)
    row = {name: value for name, value in draft.values.items() if held[name] != value}
    fields = userfields.definitions(store, card)
    held_user = values.from_json(held["UF"])
    wanted_user = {name: value for name, value in draft.user_values.items() if name in fields}
    if any(held_user.get(name) != value and (held_user.get(name) or value) for name, value in wanted_user.items()):
        row["UF"] = values.to_json(held_user | wanted_user)
    changed = bool(row)
    if draft.multifields:
        changed |= _apply_multifields(store, card, card_id, draft.multifields)
    changed |= links.set_card_links(store, card, card_id, draft.linked, draft.primary)
    if only_if_changed and not changed:
        return False
    moved = card.stage in row or "CATEGORY_ID" in row
    if moved and card.stage:
        now_held = dict(held) | row
        row |= _settle_stage(store, card, now_held)
        if "MOVED_TIME" in card.fields:
            row |= {"MOVED_TIME": at, "MOVED_BY_ID": user}
        _log_stage(store, card, card_id, now_held | row, 3 if row.get("CLOSED") == "Y" else 2, at)
    store.update(card.table, card_id, row | {"DATE_MODIFY": at, "MODIFY_BY_ID": user})
    return True


def _apply_multifields(store: Store, card: Card, card_id: int, wanted: list[Multi]) -> bool:
    changed = False
    added = []
    for multi in wanted:
        held = None
        if multi.id is not None:
            held = store.row(
                "select * from multifield where id = ? and card = ? and card_id = ?", multi.id, card.name, card_id
            )
        if held is None:
            if multi.value:
                key = search_key(multi.type_id, multi.value)
                added.append((card.name, card_id, multi.type_id, multi.value_type or "WORK", multi.value, key))
            continue
        if not multi.value:
            store.write("delete from multifield where id = ?", multi.id)
            changed = True
            continue
        value_type = multi.value_type or held["value_type"]
        if (held["value"], held["value_type"]) != (multi.value, value_type):
            key = search_key(held["type_id"], multi.value)
            store.write(
                "update multifield set value = ?, value_type = ?, search_key = ? where id = ?",
                multi.value, value_type, key, multi.id,
            )  # fmt: skip
            changed = True
    if added:
        store.write_many(
            "insert into multifield (card, card_id, type_id, value_type, value, search_key) values (?, ?, ?, ?, ?, ?)",
            added,
        )
    if changed:
        settle_reachable(store, card, card_id)
    elif added:
        kinds = {row[2] for row in added} & {"PHONE", "EMAIL"}
        store.update(card.table, card_id, {f"HAS_{kind}": "Y" for kind in sorted(kinds)})
    return changed or bool(added)


def settle_reachable(store: Store, card: Card, card_id: int) -> None:
    """Say whether a card has a phone and an e-mail, after its values went."""
    kinds = {row["type_id"] for row in multifields(store, card, card_id)}
    store.update(card.table, card_id, {f"HAS_{kind}": "Y" if kind in kinds else "N" for kind in ("PHONE", "EMAIL")})


def multifields(store: Store, card: Card, card_id: int) -> list[sqlite3.Row]:
    """Phones, e-mails and so on of a card, oldest first."""
    return store.rows("select * from multifield where card = ? and card_id = ? order by id", card.name, card_id)


def multifields_of(store: Store, card: Card, ids: list[int]) -> dict[int, list[sqlite3.Row]]:
    """The same for many cards at once, by card id."""
    by_card: dict[int, list[sqlite3.Row]] = {card_id: [] for card_id in ids}
    marks = ", ".join("?" * len(ids))
    sql = f"select * from multifield where card = ? and card_id in ({marks}) order by id"
    for row in store.rows(sql, card.name, *ids):
        by_card[row["card_id"]].append(row)
    return by_card


def delete(store: Store, card: Card, card_id: int) -> None:
    """Delete a card, its values, requisites with bank details and addresses, and its links; linked cards stay."""
    store.write(f"delete from {card.table} where ID = ?", card_id)
    store.write("delete from multifield where card = ? and card_id = ?", card.name, card_id)
    links.forget_card(store, card, card_id)
    owned = [row["ID"] for row in store.rows(
        "select ID from requisite where ENTITY_TYPE_ID = ? and ENTITY_ID = ?", card.type_id, card_id
    )]  # fmt: skip
    for requisite_id in owned:
        delete_requisite(store, requisite_id)
    store.write("delete from address where ENTITY_TYPE_ID = ? and ENTITY_ID = ?", card.type_id, card_id)
    store.write("delete from requisite_link where ENTITY_TYPE_ID = ? and ENTITY_ID = ?", card.type_id, card_id)
    store.write("delete from product_row where ownerType = ? and ownerId = ?", card.letter, card_id)
    store.write("delete from comment where ENTITY_TYPE = ? and ENTITY_ID = ?", card.table, card_id)
    store.write("delete from activity_binding where entity_type_id = ? and entity_id = ?", card.type_id, card_id)
    store.write("delete from activity where OWNER_TYPE_ID = ? and OWNER_ID = ?", card.type_id, card_id)


def delete_requisite(store: Store, requisite_id: int) -> None:
    """Delete a requisite with its bank details and addresses."""
    store.write("delete from requisite where ID = ?", requisite_id)
    store.write("delete from bank_detail where ENTITY_ID = ?", requisite_id)
    store.write("delete from address where ENTITY_TYPE_ID = 8 and ENTITY_ID = ?", requisite_id)


def load(store: Store, card: Card, card_id: int) -> sqlite3.Row | None:
    return store.row(f"select * from {card.table} where ID = ?", card_id)


def existing(store: Store, card: Card, card_id: int) -> sqlite3.Row:
    """A card that is known to be there."""
    row = load(store, card, card_id)
    assert row is not None, f"{card.name} {card_id} is gone"
    return row


def latest_creation(store: Store, card: Card) -> str | None:
    """The creation time of the newest card of a type."""
    newest: str | None = store.value(f"select max(DATE_CREATE) from {card.table}")
    return newest


def of_type(type_id: int) -> Card | None:
    return CARDS.get(type_id)
