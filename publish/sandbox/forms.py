"""Layout of card forms: kept and given back, without any effect.

Pages `companies/custom-form/*` and their likes for contacts, deals and leads.
"""

from functools import partial
from typing import Any

from publish.sandbox import php
from publish.sandbox.fields import CARDS, Card
from publish.sandbox.methods import ApiError, Call, method

KIND = "form"
_DEFAULT = [{"name": "main", "title": "О карточке", "type": "section", "elements": [{"name": "TITLE"}]}]


def _key(call: Call, card: Card) -> dict[str, Any]:
    """Whose layout of which card: the common one, or one user's."""
    common = call.get("scope") == "C"
    return {"card": card.name, "user": 0 if common else php.integer(call.get("userId")) or call.user}


def _held(call: Call, key: dict[str, Any]) -> int | None:
    found = call.store.documents(KIND).items()
    return next((form_id for form_id, body in found if key.items() <= body.items()), None)


def _get(call: Call, card: Card) -> Any:
    form = _held(call, _key(call, card))
    return _DEFAULT if form is None else call.store.documents(KIND)[form]["data"]


def _set(call: Call, card: Card) -> bool:
    data = call.get("data")
    if not isinstance(data, list):
        raise ApiError("", "Parameter 'data' must be array.")
    if not data:
        raise ApiError("", "There are no data to write.")
    for index, section in enumerate(data):
        for name in ("name", "title"):
            if not isinstance(section, dict) or not section.get(name):
                raise ApiError("", f"Section at index {index} does not have {name}.")
        if section.get("type") != "section":
            raise ApiError(
                "", f"Section at index {index} has type '{section.get('type')}'. The expected type is 'section'."
            )
    key = _key(call, card)
    call.store.put_document(KIND, key | {"data": data}, _held(call, key))
    return True


def _reset(call: Call, card: Card) -> bool:
    form = _held(call, _key(call, card))
    if form is not None:
        call.store.drop_document(KIND, form)
    return True


def _force_common(call: Call, card: Card) -> bool:
    for form_id, body in list(call.store.documents(KIND).items()):
        if body["card"] == card.name and body["user"]:
            call.store.drop_document(KIND, form_id)
    return True


for _card in CARDS.values():
    _prefix = f"crm.{_card.table}.details.configuration"
    method(f"{_prefix}.get")(partial(_get, card=_card))
    method(f"{_prefix}.set", writes=True)(partial(_set, card=_card))
    method(f"{_prefix}.reset", writes=True)(partial(_reset, card=_card))
    method(f"{_prefix}.forceCommonScopeForAll", writes=True)(partial(_force_common, card=_card))
