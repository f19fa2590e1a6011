"""Activities and what they are bound to.

Pages `timeline/activities/activity-base/*`, `timeline/activities/app-embedding/*`, `timeline/activities/binding/*`. An
e-mail that is added is sent, and a copy of it, unless told otherwise: both are counted (`Portal.mail_sent`). What is of
another provider than the portal's own cannot be made by a webhook, nor changed or deleted; but for to-dos, which have a
method of their own (pages `timeline/activities/todo/*`), and are changed, completed and deleted as the others. Of those
the portal asks for no field again when one is changed: its module does not, whatever the reference marks as required.
"""

import json
import sqlite3
from typing import Any

from publish.sandbox import automation, cards, files, php, users, values
from publish.sandbox.fields import CARDS
from publish.sandbox.listing import Column, condition, ordering, select, start_of
from publish.sandbox.methods import ApiError, Call, Page, method
from publish.sandbox.store import Store, moment

CALL, EMAIL, OF_PROVIDER = 2, 4, 6
TODO = "CRM_TODO"
_BB_CODE = 2  # crm.enum.contenttype
_PROVIDERS = {1: "CRM_MEETING", CALL: "VOXIMPLANT_CALL", EMAIL: "CRM_EMAIL"}  # the portal's own, by type
_OF_OTHERS = {
    "REST_APP": "Application context required",
    "CONFIGURABLE": "Use crm.activity.configurable.{verb} for this activity provider",
}
_UNSUPPORTED = "The custom activity without provider is not supported in current context"
_NOT_BOUND = "Could not build binding. Please ensure that owner info and communications are defined correctly"
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
_IMMUTABLE = ("OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID")
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
        raise ApiError("OWNER_NOT_FOUND", "Owner was not found")
    activity_id = _held(call, "activityId")["ID"]
    if not _bind(call.store, activity_id, type_id, card_id):
        raise ApiError("ACTIVITY_IS_ALREADY_BOUND", "The activity is already bound to this element")
    return True


@method("crm.activity.binding.move", writes=True)
def binding_move(call: Call) -> bool:
    """From a card to another of its kind, which owns it then if the first did (page `activity-base/
    crm-activity-fields`)."""
    held = _held(call, "activityId")
    (from_type, from_id), (to_type, to_id) = (
        (php.integer(call.get(f"{end}EntityTypeId")), php.integer(call.get(f"{end}EntityId")))
        for end in ("source", "target")
    )
    if from_type != to_type:
        raise ApiError("SOURCE_AND_TARGET_ENTITY_TYPES_ARE_NOT_EQUAL", "Entity types must be equal")
    card = cards.of_type(to_type)
    if card is None or not call.store.exists(card.table, to_id):
        raise ApiError("OWNER_NOT_FOUND", "Owner was not found")
    bound = {(row["entity_type_id"], row["entity_id"]) for row in call.store.rows(
        "select * from activity_binding where activity_id = ?", held["ID"]
    )}  # fmt: skip
    if (from_type, from_id) not in bound:
        raise ApiError("BINDING_NOT_FOUND", "The activity is not bound to this element")
    if (to_type, to_id) in bound:
        raise ApiError("ACTIVITY_IS_ALREADY_BOUND", "The activity is already bound to this element")
    rebind(call.store, to_type, from_id, to_id, held["ID"])
    return True


def rebind(store: Store, type_id: int, from_id: int, to_id: int, activity_id: int | None = None) -> None:
    """Move activities of a card, or one of them, to another card of its kind."""
    bindings = "update or replace activity_binding set entity_id = ? where entity_type_id = ? and entity_id = ?"
    owners = "update activity set OWNER_ID = ? where OWNER_TYPE_ID = ? and OWNER_ID = ?"
    for sql, column in ((bindings, "activity_id"), (owners, "ID")):
        store.write(f"{sql} and ? in ({column}, 0)", to_id, type_id, from_id, activity_id or 0)


def _bind(store: Store, activity_id: int, type_id: int, card_id: int) -> int:
    return store.write("insert or ignore into activity_binding values (?, ?, ?)", activity_id, type_id, card_id)


def _check_provider(type_id: Any, provider: Any, verb: str) -> None:
    problem = _OF_OTHERS.get(str(provider or ""))
    if problem is None and (type_id not in _PROVIDERS or (provider and provider != _PROVIDERS[type_id])):
        problem = _UNSUPPORTED
    if problem:
        raise ApiError("", problem.format(verb=verb))


def _decoded(call: Call, sent: dict[str, Any], verb: str) -> dict[str, Any]:
    """A row of what is sent. The reference marks the same fields as required for a new and for a changed activity."""
    row = _kept(call, sent)
    for name in ("TYPE_ID", "RESPONSIBLE_ID"):
        if not row.get(name) or row[name] < 0:
            raise ApiError("", f"The field {name} is not defined or invalid")
    if not row.get("SUBJECT"):
        raise ApiError("", "The field SUBJECT is not defined or empty")
    _check_provider(row["TYPE_ID"], row.get("PROVIDER_ID"), verb)
    partners = _partners(sent)
    if not partners:
        raise ApiError("", "The field COMMUNICATIONS is not defined or invalid")
    if row["TYPE_ID"] == CALL and len(partners) > 1:
        raise ApiError("", "The only one communication is allowed for activity of specified type")
    for type_id, card_id in (_key(sent, "OWNER_TYPE_ID", "OWNER_ID"), *map(_partner_key, partners)):
        card = cards.of_type(type_id)
        if card is None or not call.store.exists(card.table, card_id):
            raise ApiError("", _NOT_BOUND)
    return row | {name: json.dumps(sent[name]) for name in (*_DOCUMENTS, "COMMUNICATIONS") if name in sent}


def _kept(call: Call, sent: dict[str, Any]) -> dict[str, Any]:
    """A row of those fields of an activity that may be written, and of who writes them now."""
    row = {
        name: values.keep_loosely(kind, sent[name])
        for name, kind in _KINDS.items()
        if name in sent and name not in _READ_ONLY
    }
    if "START_TIME" in row:
        row["DEADLINE"] = row["START_TIME"]
    return row | {"LAST_UPDATED": moment(call.now), "EDITOR_ID": call.user}


def _partners(sent: dict[str, Any]) -> list[Any]:
    return [one for _, one in php.pairs(sent.get("COMMUNICATIONS") or [])]


def _key(named: Any, type_name: str, id_name: str) -> tuple[int, int]:
    named = named if isinstance(named, dict) else {}
    return php.integer(named.get(type_name)), php.integer(named.get(id_name))


def _partner_key(partner: Any) -> tuple[int, int]:
    return _key(partner, "ENTITY_TYPE_ID", "ENTITY_ID")


@method("crm.activity.add", writes=True)
def activity_add(call: Call) -> int:
    sent = call.fields()
    at = moment(call.now)
    row = _decoded(call, sent, "add") | {"CREATED": at, "AUTHOR_ID": call.user}
    row["PROVIDER_ID"] = row.get("PROVIDER_ID") or _PROVIDERS[row["TYPE_ID"]]
    row["COMPLETED"] = row.get("COMPLETED") or "N"
    row["FILES"] = json.dumps(files.keep_all(call.store, sent.get("FILES")))
    if row["TYPE_ID"] == EMAIL and not (row.get("DIRECTION") == 2 and row["COMPLETED"] == "N"):
        _send(call, sent)
    activity_id = call.store.insert("activity", row)
    _bind(call.store, activity_id, row["OWNER_TYPE_ID"], row["OWNER_ID"])
    for partner in _partners(sent):
        _bind(call.store, activity_id, *_partner_key(partner))
    card = cards.of_type(row["OWNER_TYPE_ID"])
    assert card is not None, "its owner was found"
    call.store.update(card.table, row["OWNER_ID"], {"LAST_ACTIVITY_TIME": at, "LAST_ACTIVITY_BY": call.user})
    return activity_id


def _send(call: Call, sent: dict[str, Any]) -> None:
    for partner in _partners(sent):
        if not values.is_email(str(partner.get("VALUE") or "")):
            raise ApiError("", "Email send error. Invalid email is specified")
    automation.count(call.store, automation.MAIL)
    if dict(php.pairs(sent.get("SETTINGS") or {})).get("DISABLE_SENDING_MESSAGE_COPY") != "Y":
        automation.count(call.store, automation.MAIL)


@method("crm.activity.todo.add", writes=True)
def todo_add(call: Call) -> dict[str, int]:
    """A to-do on a card; it takes no key of another system and no partners (page `todo/crm-activity-todo-add`)."""
    type_id, card_id = (php.integer(call.required(name)) for name in ("ownerTypeId", "ownerId"))
    deadline = values.keep_loosely("datetime", call.required("deadline"))
    if deadline is None:
        raise ApiError("WRONG_DATETIME_FORMAT", "Wrong datetime format")
    card = cards.of_type(type_id)
    if card is None or not call.store.exists(card.table, card_id):
        raise ApiError("OWNER_NOT_FOUND", "Owner was not found")
    users.check_readable(call, card, [card_id])
    at = moment(call.now)
    row = {"OWNER_TYPE_ID": type_id, "OWNER_ID": card_id, "TYPE_ID": OF_PROVIDER, "PROVIDER_ID": TODO}
    row |= {"PROVIDER_TYPE_ID": "TODO", "DESCRIPTION_TYPE": _BB_CODE, "COMPLETED": "N", "STATUS": 1, "PRIORITY": 2}
    row |= {"SUBJECT": str(call.get("title") or ""), "DESCRIPTION": str(call.get("description") or "")}
    row |= {"START_TIME": deadline, "END_TIME": deadline, "DEADLINE": deadline, "CREATED": at, "LAST_UPDATED": at}
    row |= {"RESPONSIBLE_ID": php.integer(call.get("responsibleId")) or call.user}
    row |= {"AUTHOR_ID": call.user, "EDITOR_ID": call.user}
    activity_id = call.store.insert("activity", row)
    _bind(call.store, activity_id, type_id, card_id)
    call.store.update(card.table, card_id, {"LAST_ACTIVITY_TIME": at, "LAST_ACTIVITY_BY": call.user})
    return {"id": activity_id}


@method("crm.activity.update", writes=True)
def activity_update(call: Call) -> bool:
    """Change an activity; an e-mail that is marked as completed here is not sent."""
    held, sent = _held(call), call.fields()
    if held["PROVIDER_ID"] == TODO:
        decoded = _kept(call, sent)
    else:
        _check_provider(held["TYPE_ID"], held["PROVIDER_ID"], "update")
        decoded = _decoded(call, sent, "update")
    row = {name: value for name, value in decoded.items() if name not in _IMMUTABLE}
    call.store.update("activity", held["ID"], row)
    return True


@method("crm.activity.delete", writes=True)
def activity_delete(call: Call) -> bool:
    held = _held(call)
    activity_id = held["ID"]
    if held["PROVIDER_ID"] == "REST_APP":
        raise ApiError("", _OF_OTHERS["REST_APP"])
    call.store.write("delete from activity where ID = ?", activity_id)
    call.store.write("delete from activity_binding where activity_id = ?", activity_id)
    return True
