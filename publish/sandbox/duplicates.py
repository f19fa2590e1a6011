"""Looking for cards by phone or e-mail, and merging two cards into one.

Pages `duplicates/crm-duplicate-find-by-comm`, `duplicates/crm-entity-merge-batch`.
"""

import sqlite3
from typing import Any

from publish.sandbox import activities, cards, links, php, userfields, values
from publish.sandbox.fields import CARDS, Card
from publish.sandbox.methods import ApiError, Call, method
from publish.sandbox.store import Store

MOST = 20
_SEARCHED = ("LEAD", "CONTACT", "COMPANY")
_NOT_COMPARED = {
    "ID", "ASSIGNED_BY_ID", "CREATED_BY_ID", "MODIFY_BY_ID", "DATE_CREATE", "DATE_MODIFY", "LAST_ACTIVITY_TIME",
    "LAST_ACTIVITY_BY", "MOVED_TIME", "MOVED_BY_ID", "HAS_PHONE", "HAS_EMAIL", "HAS_IMOL", "ORIGINATOR_ID", "ORIGIN_ID",
    "ORIGIN_VERSION", "COMPANY_ID", "CONTACT_ID", "UF",
}  # fmt: skip


@method("crm.duplicate.findbycomm")
def find_by_communication(call: Call) -> Any:
    """Ids by kind of card. At most 20 values are looked at and 20 ids of a kind told; a full kind hides the next."""
    kind = call.get("type")
    if not kind:
        raise ApiError("Communication type is not defined", "Parameter 'type' is required.")
    if kind not in ("PHONE", "EMAIL"):
        raise ApiError("", f"Communication type '{kind}' is not supported in current context")
    sent = call.get("values")
    if not php.is_array(sent) or not sent:
        raise ApiError("", "Communication values is not defined")
    keys = [cards.search_key(kind, str(value)) for _, value in php.pairs(sent)][:MOST]
    wanted = str(call.get("entity_type") or "").upper()
    marks = ", ".join("?" * len(keys))
    found = {}
    for name in [wanted] if wanted in _SEARCHED else _SEARCHED:
        rows = call.store.rows(
            f"select distinct card_id from multifield where type_id = ? and search_key in ({marks}) and card = ? "
            f"order by card_id limit {MOST}",
            kind, *keys, name,
        )  # fmt: skip
        if rows:
            found[name] = [row["card_id"] for row in rows]
        if len(rows) >= MOST:
            break
    return php.array(found)


def _differ(store: Store, card: Card, kept: sqlite3.Row, going: sqlite3.Row) -> bool:
    """Whether both cards have a value where they disagree: then a person has to choose."""
    for item in card.columns:
        one, other = kept[item.name], going[item.name]
        if item.name not in _NOT_COMPARED and one not in (None, "", 0) and other not in (None, "", 0) and one != other:
            return True
    held, coming = values.from_json(kept["UF"]), values.from_json(going["UF"])
    single = [
        name for name, item in userfields.definitions(store, card).items() if item["MULTIPLE"] != "Y" and name in held
    ]
    return any(held[name] and coming.get(name) and held[name] != coming[name] for name in single)


def _absorb(call: Call, card: Card, kept_id: int, going_id: int) -> None:
    store = call.store
    kept, going = cards.existing(store, card, kept_id), cards.existing(store, card, going_id)
    empty = {
        item.name: going[item.name]
        for item in card.columns
        if item.name != "ID" and kept[item.name] in (None, "") and going[item.name] not in (None, "")
    }
    for single in ("COMPANY_ID", "CONTACT_ID"):
        empty.pop(single, None)
    merged = values.from_json(going["UF"]) | {k: v for k, v in values.from_json(kept["UF"]).items() if v}
    draft = cards.Draft(empty, merged)
    held = {(row["type_id"], cards.search_key(row["type_id"], row["value"])) for row in _values(store, card, kept_id)}
    for row in _values(store, card, going_id):
        if (row["type_id"], row["search_key"]) not in held:
            draft.multifields.append(cards.Multi(row["type_id"], row["value"], row["value_type"]))
    mine = links.linked_to(store, card, kept_id)
    theirs = links.linked_to(store, card, going_id)
    draft.linked = list(dict.fromkeys([*mine, *theirs]))
    draft.primary = mine[0] if mine else None
    cards.update(store, card, kept, draft, call.user, call.now, only_if_changed=False)
    store.write(
        "update requisite set ENTITY_ID = ? where ENTITY_TYPE_ID = ? and ENTITY_ID = ?", kept_id, card.type_id, going_id
    )
    store.write(
        "update address set ANCHOR_ID = ? where ANCHOR_TYPE_ID = ? and ANCHOR_ID = ?", kept_id, card.type_id, going_id
    )
    activities.rebind(store, card.type_id, going_id, kept_id)
    store.write(
        "update comment set ENTITY_ID = ? where ENTITY_TYPE = ? and ENTITY_ID = ?", kept_id, card.table, going_id
    )
    if card.name == "COMPANY":
        for table in ("deal", "lead", "quote"):
            store.write(f"update {table} set COMPANY_ID = ? where COMPANY_ID = ?", kept_id, going_id)
    if card.name == "CONTACT":
        for row in store.rows("select card, card_id from card_contact where contact_id = ?", going_id):
            links.CARD_CONTACTS[row["card"]].add(store, row["card_id"], kept_id)
    cards.delete(store, card, going_id)


def _values(store: Store, card: Card, card_id: int) -> list[sqlite3.Row]:
    return cards.multifields(store, card, card_id)


@method("crm.entity.mergeBatch", writes=True)
def merge_batch(call: Call) -> dict[str, Any]:
    """The first card takes over what the others know; any disagreement is a CONFLICT and nothing changes."""
    params = call.mapping("params")
    type_id = php.integer(params.get("entityTypeId"))
    if not type_id:
        raise ApiError(0, "The parameter entityTypeId is required.")
    card = CARDS.get(type_id)
    if card is None:
        raise ApiError(0, f"Entity type {type_id} is not supported")
    sent = params.get("entityIds")
    ids = [php.integer(one) for _, one in php.pairs(sent)] if php.is_array(sent) else []
    ids = list(dict.fromkeys(one for one in ids if one > 0))
    if not ids:
        raise ApiError(0, "The parameter entityIds does not contains valid elements.")
    if len(ids) < 2:
        raise ApiError(0, "The parameter entityIds must contains at least two elements.")
    rows = [row for row in (cards.load(call.store, card, one) for one in ids) if row is not None]
    if len(rows) < len(ids):
        raise ApiError(0, "Owner was not found")
    kept, *going = rows
    everyone = [(one, other) for index, one in enumerate(rows) for other in rows[index + 1 :]]
    if any(_differ(call.store, card, one, other) for one, other in everyone):
        return {"STATUS": "CONFLICT", "ENTITY_IDS": []}
    for row in going:
        _absorb(call, card, kept["ID"], row["ID"])
    return {"STATUS": "SUCCESS", "ENTITY_IDS": [row["ID"] for row in going]}
