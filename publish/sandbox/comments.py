"""Comments in the timeline of cards. Pages `timeline/comments/*`.

A list wants the card, by ENTITY_TYPE and ENTITY_ID, and knows no dates. A comment is the caller's own and of now: the
reference lists neither an author nor a time among the fields that may be sent.
"""

import json
import sqlite3
from typing import Any

from publish.sandbox import files, php, users
from publish.sandbox.fields import CARDS, Card
from publish.sandbox.listing import Column, ordering, select, start_of
from publish.sandbox.methods import ApiError, Call, Page, method
from publish.sandbox.store import moment

_ORDERED = {name: Column(name, "string") for name in ("ID", "CREATED", "AUTHOR_ID")}


def _card(named: dict[str, Any]) -> Card | None:
    kind = str(named.get("ENTITY_TYPE") or "").lower()
    return next((card for card in CARDS.values() if card.table == kind), None)


def _text(sent: dict[str, Any]) -> str:
    if php.is_empty(sent.get("COMMENT")):
        raise ApiError("INVALID_ARG_VALUE", "The comment is empty")
    return str(sent["COMMENT"])


def _owner(call: Call, named: dict[str, Any]) -> tuple[Card, int]:
    card, card_id = _card(named), php.integer(named.get("ENTITY_ID"))
    if card is None or not call.store.exists(card.table, card_id) or not users.may_read(call, card, card_id):
        raise ApiError("", "Access denied.")
    return card, card_id


@method("crm.timeline.comment.list")
def comment_list(call: Call) -> Page:
    card, card_id = _owner(call, call.mapping("filter"))
    order = ordering(call.mapping("order"), _ORDERED.get)
    comments = select(
        call.store, "comment", "ENTITY_TYPE = ? and ENTITY_ID = ?", [card.table, card_id], order, max(start_of(call), 0)
    )
    chosen = {name for _, name in php.pairs(call.get("select") or [])}
    rows = [
        {name: value for name, value in _shown(call, row).items() if not chosen or name in chosen}
        for row in comments.rows
    ]
    return Page(rows, comments.total, comments.next)


def _shown(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    item = {name: str(row[name]) for name in ("ID", "ENTITY_ID", "ENTITY_TYPE", "CREATED", "COMMENT", "AUTHOR_ID")}
    attached = {str(file_id): files.attached(call, file_id) for file_id in json.loads(row["FILES"])}
    return item | {"FILES": attached or {}}


@method("crm.timeline.comment.get")
def comment_get(call: Call) -> dict[str, Any]:
    row = call.store.row("select * from comment where ID = ?", call.identifier())
    if row is None:
        raise ApiError("", "Not found.")
    return _shown(call, row)


@method("crm.timeline.comment.add", writes=True)
def comment_add(call: Call) -> int:
    sent = call.fields()
    for name in ("ENTITY_ID", "ENTITY_TYPE", "COMMENT"):
        if name not in sent:
            raise ApiError("100", f"Could not find value for parameter {{{name}}}")
    card = _card(sent)
    card_id = php.integer(sent["ENTITY_ID"])
    if card is None or not call.store.exists(card.table, card_id):
        raise ApiError("OWNER_NOT_FOUND", "Owner was not found")
    users.check_readable(call, card, [card_id])
    at = moment(call.now)
    row = {"ENTITY_TYPE": card.table, "ENTITY_ID": card_id, "CREATED": at, "COMMENT": _text(sent)}
    row |= {"AUTHOR_ID": call.user}
    row["FILES"] = json.dumps(files.keep_all(call.store, sent.get("FILES")))
    comment_id = call.store.insert("comment", row)
    call.store.update(card.table, card_id, {"LAST_ACTIVITY_TIME": at, "LAST_ACTIVITY_BY": call.user})
    return comment_id


@method("crm.timeline.comment.update", writes=True)
def comment_update(call: Call) -> bool:
    sent = call.fields()
    changed = {"COMMENT": _text(sent)} if "COMMENT" in sent else {}
    if "FILES" in sent:  # all that were there go
        changed["FILES"] = json.dumps(files.keep_all(call.store, sent["FILES"]))
    if not call.store.exists("comment", call.identifier()):
        raise ApiError("NOT_FOUND", "Element not found")
    call.store.update("comment", call.identifier(), changed)
    return True


@method("crm.timeline.comment.delete", writes=True)
def comment_delete(call: Call) -> bool:
    if not call.store.write("delete from comment where ID = ?", call.identifier()):
        raise ApiError("NOT_FOUND", "Element not found")
    return True
