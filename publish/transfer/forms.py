"""What a record's fields become in the method that takes them. Which values go, the models decided.

Pages `universal/import/crm-item-import` (phones), `universal/crm-item-update` (`fm`), `timeline/activities/*`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ingest.bitrix24.answers import entries_of
from publish.bitrix24.kinds import ITEMS, ORIGINATOR
from publish.transfer.kinds import DATES, MARK

EMAIL = 4
_PROVIDERS = {1: "CRM_MEETING", 2: "VOXIMPLANT_CALL", EMAIL: "CRM_EMAIL"}  # what a webhook may make, by type
_KINDS = {"REST_APP": "приложение", "CONFIGURABLE": "приложение", "CRM_TODO": "дело", "IMOPENLINES_SESSION": "чат",
          "CRM_SMS": "SMS", "CRM_TASKS_TASK": "задача", "TASKS": "задача", "CRM_WEBFORM": "форма"}  # fmt: skip
_ROLES = {"assignedById": "ответственный", "createdBy": "создал", "updatedBy": "изменил", "movedBy": "перевёл",
          "observers": "наблюдатель"}  # fmt: skip
_STANDS_FOR = "В этом портале такого пользователя нет, в карточке вместо него другой."
_NOT_SENT = ("CREATED", "AUTHOR", "BINDINGS")
_SENDS_NOTHING = {"DIRECTION": 2, "COMPLETED": "N"}


# Cards ----------------------------------------------------------------------------------------------------------------


def to_import(fields: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """A card as imports take it: phones and the like in lists of their own, and our mark."""
    values = defaultdict(list)
    for entry in fields.get("fm") or []:
        values[entry["typeId"]].append({"VALUE": entry["value"], "VALUE_TYPE": entry.get("valueType") or "WORK"})
    return {name: value for name, value in fields.items() if name != "fm"} | values | {MARK: mark}


def without_dates(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in DATES}


def dates_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """The times of a card that an import takes and nothing else does."""
    return {name: str(fields[name]) for name in DATES if fields.get(name)}


def fm_changes(held: Any, wanted: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What makes the phones and the like of a card the wanted ones: by the value's id an empty value takes away, new
    ones come as n0, n1."""

    def said(entry: Mapping[str, Any]) -> tuple[str, str, str]:
        return str(entry["typeId"]), str(entry.get("valueType") or "WORK"), str(entry["value"])

    left = [said(entry) for entry in wanted]
    changes: dict[str, dict[str, Any]] = {}
    for entry in entries_of(ITEMS, held):
        if said(entry) in left:
            left.remove(said(entry))
        else:
            changes[str(entry["id"])] = {"typeId": entry["typeId"], "value": ""}
    for number, (type_id, value_type, value) in enumerate(left):
        changes[f"n{number}"] = {"typeId": type_id, "valueType": value_type, "value": value}
    return changes


# Activities and comments ----------------------------------------------------------------------------------------------


def can_be_made(fields: Mapping[str, Any]) -> bool:
    """Whether a webhook may make this activity; what it may not is told in a comment."""
    try:
        provider = _PROVIDERS.get(int(fields.get("TYPE_ID") or 0))
    except ValueError:
        return False
    return provider is not None and (fields.get("PROVIDER_ID") or provider) == provider


def is_email(fields: Mapping[str, Any]) -> bool:
    return str(fields.get("TYPE_ID")) == str(EMAIL)


def to_activity(fields: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """An activity that is made and nothing is sent: an e-mail as an outgoing one that is not completed, without a copy.
    The key of another system stays; without one it gets ours."""
    sent = {name: value for name, value in fields.items() if name not in _NOT_SENT}
    if not sent.get("ORIGIN_ID"):
        sent |= {"ORIGINATOR_ID": ORIGINATOR, "ORIGIN_ID": mark}
    if is_email(fields):
        settings = fields.get("SETTINGS")
        settings = dict(settings) if isinstance(settings, Mapping) else {}
        sent |= _SENDS_NOTHING | {"SETTINGS": settings | {"DISABLE_SENDING_MESSAGE_COPY": "Y"}}
    return sent


def changed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Changed fields of a piece, without those that only tell where it came from, and without its files: what a change
    does to those that are there is not documented."""
    return {name: value for name, value in fields.items() if name not in (*_NOT_SENT, "FILES")}


def completed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The change that has an e-mail be completed, and come in, if it was and did, which does not send it; fields that a
    change has to repeat."""
    names = ("OWNER_TYPE_ID", "OWNER_ID", "TYPE_ID", "COMMUNICATIONS", "RESPONSIBLE_ID", "SUBJECT", *_SENDS_NOTHING)
    return {name: fields[name] for name in names if fields.get(name)}


def to_comment(
    entity_type: str, owner_id: int, begun: str, *text: Any, files: Sequence[Any] | None = None
) -> dict[str, Any]:
    """A comment on a card that begins with when it was made first, by whom and as what."""
    lines = [begun, *(str(line) for line in text if line)]
    told = {"ENTITY_TYPE": entity_type, "ENTITY_ID": owner_id, "COMMENT": "\n".join(lines)}
    return told | {"FILES": list(files)} if files else told


def kept_name(entity_type: str, owner_id: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The comment that keeps the name of a user of the cloud for whom another stands on the card."""
    roles = ", ".join(_ROLES.get(name, name) for name in fields.get("NAMED_IN") or [])
    return to_comment(entity_type, owner_id, beginning(fields, roles), _STANDS_FOR)


def later_file(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The comment that has a file which came after its activity."""
    text = (fields.get("SUBJECT"), fields.get("NAME"))
    return to_comment(
        str(fields["owner_entity"]), fields["owner"], beginning(fields, "файл"), *text, files=fields["FILES"]
    )


def beginning(fields: Mapping[str, Any], kind: str = "") -> str:
    """`[10.01.2024 10:00, Анна Иванова, чат]`, of the cloud's own time."""
    at = str(fields.get("CREATED") or fields.get("START_TIME") or "")
    day, time = at[:10], at[11:16]
    written = ".".join(reversed(day.split("-"))) if day.count("-") == 2 else day
    told = (f"{written} {time}".strip(), str(fields.get("AUTHOR") or "").strip(), kind)
    return f"[{', '.join(part for part in told if part)}]"


def kind_of(fields: Mapping[str, Any]) -> str:
    """What an activity was, for people."""
    provider = str(fields.get("PROVIDER_ID") or "")
    return _KINDS.get(provider) or provider or {"3": "задача"}.get(str(fields.get("TYPE_ID")), "дело")
