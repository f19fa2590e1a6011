"""The classic methods `crm.company.*`, `crm.contact.*`, `crm.deal.*`, `crm.lead.*`.

Pages `companies/*`, `contacts/*`, `deals/*`, `leads/*`. Names are UPPER_CASE, answers are texts, an unknown field is
passed over in `fields` and in `filter` alike, and a wrong value is cast the way PHP casts it.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

from publish.sandbox import automation, cards, items, links, php, userfields, users, values
from publish.sandbox.cards import Draft, Multi
from publish.sandbox.fields import CARDS, MULTIFIELDS, Card, Field
from publish.sandbox.listing import Column, condition, ordering, select, start_of
from publish.sandbox.methods import ApiError, Call, Page, method

_ON_IMPORT = ("DATE_CREATE", "DATE_MODIFY", "CREATED_BY_ID", "MODIFY_BY_ID")
_MISSING = {"COMPANY": "Company is not found", "CONTACT": "Contact is not found"}


def _decode(call: Call, card: Card, sent: dict[str, Any], *, importing: bool, is_new: bool) -> Draft:
    draft = Draft()
    custom = userfields.definitions(call.store, card)
    for name, value in sent.items():
        item = card.fields.get(name)
        if name in custom:
            draft.user_values[name] = userfields.keep(custom[name], value, loosely=True)
        elif item is None or not item.kept or not item.classic:
            continue
        elif name in MULTIFIELDS:
            draft.multifields += _multifields(name, value)
        elif item.multiple:
            if php.is_array(value):
                ids = [php.integer(one) for _, one in php.pairs(value)]
                other = links.SIDES[card.name].other
                draft.linked = [one for one in ids if one > 0 and call.store.exists(other.table, one)]
        elif item.read_only and not (importing and name in _ON_IMPORT):
            continue
        elif not item.immutable or is_new:
            _decode_field(call, card, draft, item, value)
    return draft


def _decode_field(call: Call, card: Card, draft: Draft, item: Field, value: Any) -> None:
    kept = values.keep_loosely(item.type, value)
    if item.type in ("crm_company", "crm_contact", "crm_lead", "crm_quote") and kept is not None:
        # A link to a card that is not there is dropped without a word; the reference knows no error for it.
        table = item.type.removeprefix("crm_")
        kept = kept if call.store.exists(table, kept) else None
        if kept is None and item.name == links.SIDES[card.name].key:
            return
    if item.name == links.SIDES[card.name].key:
        draft.primary = kept or 0
        return
    if item.name == card.stage and kept is None:
        return
    if item.type == "crm_category":
        kept = kept or 0
    draft.values[item.name] = kept


def _multifields(type_id: str, value: Any) -> list[Multi]:
    """`[{ID, VALUE, VALUE_TYPE}]`: with an id change (no or empty value, or `DELETE=Y`, deletes), without one add."""
    wanted = []
    for _, entry in php.pairs(value) if php.is_array(value) else []:
        if not isinstance(entry, dict):
            continue
        text = "" if entry.get("DELETE") == "Y" else str(entry.get("VALUE") or "").strip()
        if type_id == "EMAIL" and text and not values.is_email(text):
            raise ApiError("ERROR_CORE", "The field `Work e-mail` contains an invalid address")
        wanted.append(Multi(type_id, text or None, entry.get("VALUE_TYPE"), php.integer(entry.get("ID")) or None))
    return wanted


def _add(call: Call, card: Card) -> int:
    sent, params = call.fields(), call.mapping("params")
    importing = params.get("IMPORT") == "Y"
    draft = _decode(call, card, sent, importing=importing, is_new=True)
    if card.name == "CONTACT" and not draft.values.get("NAME") and not draft.values.get("LAST_NAME"):
        raise ApiError("", 'The "Name" field is required.')
    created, latest = draft.values.get("DATE_CREATE"), cards.latest_creation(call.store, card)
    if created and latest and created < latest:
        draft.values["DATE_CREATE"] = latest
    card_id = cards.create(call.store, card, draft, call.user, call.now)
    automation.start(call.store, card, automation.ON_ADD)
    return card_id


def _held(call: Call, card: Card, missing: str) -> sqlite3.Row:
    row = cards.load(call.store, card, call.identifier())
    if row is None:
        raise ApiError("", missing)
    return row


def _get(call: Call, card: Card) -> dict[str, Any]:
    row = _held(call, card, "Not found")
    users.check_readable(call, card, [row["ID"]])
    fm = cards.multifields(call.store, card, row["ID"]) if card.has_multifields else []
    return _shown(call, card, row) | _grouped(fm)


def _update(call: Call, card: Card) -> bool:
    row = _held(call, card, _MISSING.get(card.name, "Not found"))
    draft = _decode(call, card, call.fields(), importing=False, is_new=False)
    cards.update(call.store, card, row, draft, call.user, call.now, only_if_changed=False)
    automation.start(call.store, card, automation.ON_CHANGE)
    return True


def _delete(call: Call, card: Card) -> bool:
    row = _held(call, card, _MISSING.get(card.name, "Not found"))
    cards.delete(call.store, card, row["ID"])
    return True


def _shown(call: Call, card: Card, row: sqlite3.Row) -> dict[str, Any]:
    item = {
        field.name: values.classic(field.type, row[field.name]) if field.kept else None
        for field in card.fields.values()
        if field.classic and not field.multiple
    }
    return item | userfields.show(userfields.definitions(call.store, card), row["UF"], universal=False)


def _grouped(fm: list[sqlite3.Row]) -> dict[str, list[dict[str, str]]]:
    by_kind: dict[str, list[dict[str, str]]] = {}
    for entry in fm:
        by_kind.setdefault(entry["type_id"], []).append(
            {
                "ID": str(entry["id"]),
                "VALUE_TYPE": entry["value_type"],
                "VALUE": entry["value"],
                "TYPE_ID": entry["type_id"],
            }
        )
    return by_kind


def _columns(call: Call, card: Card) -> dict[str, Column]:
    def build() -> dict[str, Column]:
        columns = {field.name: Column(f'"{field.name}"', field.type) for field in card.columns}
        for name in MULTIFIELDS if card.has_multifields else ():
            within = (
                f"exists (select 1 from multifield where card = '{card.name}' and card_id = {card.table}.ID "
                f"and type_id = '{name}' and {{test}})"
            )
            columns[name] = Column("multifield.value", "string", within)
        custom = userfields.definitions(call.store, card)
        return columns | {name: items.user_column(definition) for name, definition in custom.items()}

    return call.store.derived(userfields.KIND, ("classic columns", card.name), build)


def _list(call: Call, card: Card) -> Page:
    known = _columns(call, card)
    where, bound = condition(call.mapping("filter"), known.get, strict=False)
    order = ordering(call.mapping("order"), known.get)
    visible = users.rights(call).visible(card)
    rows, total, following = select(call.store, card.table, where, bound, order, start_of(call), visible=visible)
    chosen = {name for _, name in php.pairs(call.get("select") or ["*", "UF_*"])} or {"*", "UF_*"}
    named_multi = chosen & set(MULTIFIELDS)
    fm = cards.multifields_of(call.store, card, [row["ID"] for row in rows]) if named_multi else {}
    shown = []
    for row in rows:
        item = {
            key: value
            for key, value in _shown(call, card, row).items()
            if key == "ID" or key in chosen or ("UF_*" if key.startswith(userfields.PREFIX) else "*") in chosen
        }
        values_of_card = _grouped(fm.get(row["ID"], []))
        shown.append(item | {name: held for name, held in values_of_card.items() if name in named_multi})
    return Page(shown, total, following)


def _register(card: Card) -> None:
    def bound(handler: Callable[[Call, Card], Any]) -> Callable[[Call], Any]:
        return lambda call: handler(call, card)

    prefix = f"crm.{card.table}"
    method(f"{prefix}.add", writes=True)(bound(_add))
    method(f"{prefix}.get")(bound(_get))
    method(f"{prefix}.list")(bound(_list))
    method(f"{prefix}.update", writes=True)(bound(_update))
    method(f"{prefix}.delete", writes=True)(bound(_delete))
    method(f"{prefix}.fields")(lambda call: items.describe_fields(call.store, card, universal=False))


for _card in CARDS.values():
    _register(_card)
