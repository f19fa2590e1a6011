"""Activities and what they are bound to.

Pages `timeline/activities/activity-base/*` and `timeline/activities/binding/*`. An e-mail that is added is sent, and a
copy of it, unless told otherwise: both are counted (`Portal.mail_sent`).
"""

import json
import sqlite3
from typing import Any

from publish.sandbox import automation, cards, files, php, users, values
from publish.sandbox.fields import CARDS
from publish.sandbox.listing import Column, condition, ordering, select, start_of
from publish.sandbox.methods import ApiError, Call, Page, method
from publish.sandbox.store import Store, moment

EMAIL = 4
_KINDS = {
    "ID": "integer", "OWNER_ID": "integer", "OWNER_TYPE_ID": "integer", "TYPE_ID": "integer", "PROVIDER_ID": "string",
    "PROVIDER_TYPE_ID": "string", "SUBJECT": "string", "CREATED": "datetime", "LAST_UPDATED": "datetime",
    "START_TIME": "datetime", "END_TIME": "datetime", "DEADLINE": "datetime", "COMPLETED": "char", "STATUS": "integer",
    "RESPONSIBLE_ID": "integer", "PRIORITY": "integer", "DESCRIPTION": "string", "DESCRIPTION_TYPE": "integer",
    "DIRECTION": "integer", "LOCATION": "string", "ORIGINATOR_ID": "string", "ORIGIN_ID": "string",
    "AUTHOR_ID": "integer", "EDITOR_ID": "integer",
}  # fmt: skip
_DOCUMENTS = ("SETTINGS", "PROVIDER_PARAMS")
_ON_DEMAND = ("COMMUNICATIONS", "FILES")
_READ_ONLY = ("ID", "CREATED", "LAST_UPDATED", "AUTHOR_ID", "EDITOR_ID", "DEADLINE")
_COLUMNS = {name: Column(name, kind) for name, kind in _KINDS.items()}


def _shown(call: Call, row: sqlite3.Row, chosen: set[str]) -> dict[str, Any]:
    item: dict[str, Any] = {name: values.classic(kind, row[name]) for name, kind in _KINDS.items()}
    item |= {name: json.loads(row[name]) for name in (*_DOCUMENTS, "COMMUNICATIONS")}
    item["FILES"] = [files.shown(call, file_id) for file_id in json.loads(row["FILES"])]
    everything = "*" in chosen or not chosen
    return {name: value for name, value in item.items() if name in chosen or (everything and name not in _ON_DEMAND)}


def _visible(call: Call) -> str:
    """An activity is read by whoever may read its owner."""
    hidden = users.rights(call).visible(CARDS[2])
    return "1" if hidden == "1" else f"(OWNER_TYPE_ID <> 2 or OWNER_ID in (select ID from deal where {hidden}))"


@method("crm.activity.list")
def activity_list(call: Call) -> Page:
    where, bound = condition(call.mapping("filter"), _COLUMNS.get, strict=False)
    order = ordering(call.mapping("order"), _COLUMNS.get) or [("START_TIME", "asc")]
    found = select(call.store, "activity", where, bound, order, start_of(call), visible=_visible(call))
    chosen = {name for _, name in php.pairs(call.get("select") or [])}
    return Page([_shown(call, row, chosen) for row in found.rows], found.total, found.next)


def _held(call: Call, name: str = "id") -> sqlite3.Row:
    activity_id = php.integer(call.get(name))
    row = call.store.row(f"select * from activity where ID = ? and {_visible(call)}", activity_id)
    if row is None:
        raise ApiError("NOT_FOUND", "Element not found")
    return row


@method("crm.activity.get")
def activity_get(call: Call) -> dict[str, Any]:
    return _shown(call, _held(call), {"*", *_ON_DEMAND})


@method("crm.activity.binding.list")
def binding_list(call: Call) -> list[dict[str, int]]:
    sql = "select * from activity_binding where activity_id = ? order by entity_type_id, entity_id"
    found = call.store.rows(sql, _held(call, "activityId")["ID"])
    return [{"entityTypeId": row["entity_type_id"], "entityId": row["entity_id"]} for row in found]


@method("crm.activity.binding.add", writes=True)
def binding_add(call: Call) -> bool:
    type_id, card_id = php.integer(call.get("entityTypeId")), php.integer(call.get("entityId"))
    card = cards.of_type(type_id)
    if card is None or not call.store.exists(card.table, card_id):
        raise ApiError("NOT_FOUND", "Element not found")
    _bind(call.store, _held(call, "activityId")["ID"], type_id, card_id)
    return True


def _bind(store: Store, activity_id: int, type_id: int, card_id: int) -> None:
    store.write("insert or ignore into activity_binding values (?, ?, ?)", activity_id, type_id, card_id)


@method("crm.activity.add", writes=True)
def activity_add(call: Call) -> int:
    sent = call.fields()
    type_id, card_id = php.integer(sent.get("OWNER_TYPE_ID")), php.integer(sent.get("OWNER_ID"))
    card = cards.of_type(type_id)
    if card is None or not call.store.exists(card.table, card_id):
        raise ApiError("", "Could not find the owner of the activity")
    if not sent.get("SUBJECT"):
        raise ApiError("", "The field SUBJECT is required")
    row = {
        name: values.keep_loosely(kind, sent[name])
        for name, kind in _KINDS.items()
        if name in sent and name not in _READ_ONLY
    }
    at = moment(call.now)
    row |= {"CREATED": at, "LAST_UPDATED": at, "AUTHOR_ID": call.user, "EDITOR_ID": call.user}
    row |= {"DEADLINE": row.get("START_TIME"), "COMPLETED": row.get("COMPLETED") or "N"}
    row |= {name: json.dumps(sent.get(name) or []) for name in (*_DOCUMENTS, "COMMUNICATIONS")}
    row["FILES"] = json.dumps(files.keep_all(call.store, sent.get("FILES")))
    activity_id = call.store.insert("activity", row)
    _bind(call.store, activity_id, type_id, card_id)
    for _, partner in php.pairs(sent.get("COMMUNICATIONS") or []):
        if isinstance(partner, dict) and php.integer(partner.get("ENTITY_ID")):
            _bind(call.store, activity_id, php.integer(partner["ENTITY_TYPE_ID"]), php.integer(partner["ENTITY_ID"]))
    call.store.update(card.table, card_id, {"LAST_ACTIVITY_TIME": at, "LAST_ACTIVITY_BY": call.user})
    if row.get("TYPE_ID") == EMAIL and not (row.get("DIRECTION") == 2 and row["COMPLETED"] == "N"):
        automation.count(call.store, automation.MAIL)
        if dict(php.pairs(sent.get("SETTINGS") or {})).get("DISABLE_SENDING_MESSAGE_COPY") != "Y":
            automation.count(call.store, automation.MAIL)
    return activity_id


@method("crm.activity.delete", writes=True)
def activity_delete(call: Call) -> bool:
    activity_id = _held(call)["ID"]
    call.store.write("delete from activity where ID = ?", activity_id)
    call.store.write("delete from activity_binding where activity_id = ?", activity_id)
    return True
