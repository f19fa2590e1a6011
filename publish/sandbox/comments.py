"""Comments in the timeline of cards. Pages `timeline/comments/*`.

A list wants the card, by ENTITY_TYPE and ENTITY_ID, and knows no dates.
"""

import json
from typing import Any

from publish.sandbox import files, php, users
from publish.sandbox.fields import CARDS, Card
from publish.sandbox.listing import Column, ordering, select, start_of
from publish.sandbox.methods import ApiError, Call, Page, method
from publish.sandbox.store import moment

_ORDERED = {name: Column(name, "string") for name in ("ID", "CREATED", "AUTHOR_ID")}


def _owner(call: Call, named: dict[str, Any]) -> tuple[Card, int]:
    kind, card_id = str(named.get("ENTITY_TYPE") or "").lower(), php.integer(named.get("ENTITY_ID"))
    card = next((card for card in CARDS.values() if card.table == kind), None)
    if card is None or not call.store.exists(card.table, card_id) or not users.may_read(call, card, card_id):
        raise ApiError("", "Access denied.")
    return card, card_id


@method("crm.timeline.comment.list")
def comment_list(call: Call) -> Page:
    card, card_id = _owner(call, call.mapping("filter"))
    order = ordering(call.mapping("order"), _ORDERED.get)
    found = select(
        call.store, "comment", "ENTITY_TYPE = ? and ENTITY_ID = ?", [card.table, card_id], order, max(start_of(call), 0)
    )
    chosen = {name for _, name in php.pairs(call.get("select") or [])}
    rows = []
    for row in found.rows:
        item = {name: str(row[name]) for name in ("ID", "ENTITY_ID", "ENTITY_TYPE", "CREATED", "COMMENT", "AUTHOR_ID")}
        attached = {str(file_id): files.attached(call, file_id) for file_id in json.loads(row["FILES"])}
        shown: dict[str, Any] = item | {"FILES": attached or {}}
        rows.append({name: value for name, value in shown.items() if not chosen or name in chosen})
    return Page(rows, found.total, found.next)


@method("crm.timeline.comment.add", writes=True)
def comment_add(call: Call) -> int:
    sent = call.fields()
    card, card_id = _owner(call, sent)
    if not sent.get("COMMENT"):
        raise ApiError("", "The comment text is empty.")
    at = moment(call.now)
    row = {"ENTITY_TYPE": card.table, "ENTITY_ID": card_id, "CREATED": at, "COMMENT": str(sent["COMMENT"])}
    row |= {"AUTHOR_ID": php.integer(sent.get("AUTHOR_ID")) or call.user}
    row["FILES"] = json.dumps(files.keep_all(call.store, sent.get("FILES")))
    comment_id = call.store.insert("comment", row)
    call.store.update(card.table, card_id, {"LAST_ACTIVITY_TIME": at, "LAST_ACTIVITY_BY": call.user})
    return comment_id


@method("crm.timeline.comment.delete", writes=True)
def comment_delete(call: Call) -> bool:
    if not call.store.write("delete from comment where ID = ?", call.identifier()):
        raise ApiError("", "Not found.")
    return True
