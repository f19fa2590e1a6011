"""Product rows of deals, leads and quotes: in the universal methods, which the classic ones say otherwise.

Pages `universal/product-rows/*` and `deals/crm-deal-productrows-*`. Whoever sets the rows of a card replaces all.
"""

import sqlite3
from functools import partial
from typing import Any

from publish.sandbox import automation, php, users, values
from publish.sandbox.fields import CARDS, Card
from publish.sandbox.listing import Column, NotAllowed, condition, ordering, select, start_of
from publish.sandbox.methods import ApiError, Call, Page, method

_KINDS = {
    "id": "integer", "ownerId": "integer", "ownerType": "string", "productId": "integer", "productName": "string",
    "price": "double", "quantity": "double", "discountTypeId": "integer", "discountRate": "double",
    "discountSum": "double", "taxRate": "double", "taxIncluded": "string", "measureCode": "integer",
    "measureName": "string", "sort": "integer", "xmlId": "string",
}  # fmt: skip
_COLUMNS = {name: Column(name, kind) for name, kind in _KINDS.items()}
_OWNERS = {card.letter: card for card in CARDS.values() if "OPPORTUNITY" in card.fields}
_COMPUTED = {"id", "ownerId", "ownerType", "measureName", "xmlId"}  # whatever is sent of these
_DEFAULTS = {"productId": 0, "quantity": 1.0, "discountTypeId": 2, "discountRate": 0.0, "discountSum": 0.0,
             "taxIncluded": "N", "measureCode": 796, "measureName": "шт"}  # fmt: skip


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {name: values.universal(kind, row[name]) for name, kind in _KINDS.items()}


@method("crm.item.productrow.list")
def productrow_list(call: Call) -> Page:
    criteria = call.required_array("filter")
    for name in ("=ownerType", "=ownerId"):
        if php.is_empty(criteria.get(name)):
            raise ApiError("INVALID_ARG_VALUE", f"Required filter fields: {name}")
    owners = criteria["=ownerId"]
    owner_ids = (
        [php.integer(owner) for _, owner in php.pairs(owners)] if php.is_array(owners) else [php.integer(owners)]
    )
    letters = criteria["=ownerType"]
    for letter in letters if isinstance(letters, list) else [letters]:
        users.check_readable(call, _OWNERS.get(str(letter)), owner_ids)
    try:
        where, bound = condition(criteria, _COLUMNS.get, strict=True)
    except (NotAllowed, values.Invalid) as error:
        raise ApiError("INVALID_ARG_VALUE", f"Invalid filter: field '{error}'") from None
    order = ordering(call.params.get("order"), _COLUMNS.get)
    rows = select(call.store, "product_row", where, bound, order, max(start_of(call), 0))
    return Page({"productRows": [_shown(row) for row in rows.rows]}, rows.total, rows.next)


@method("crm.item.productrow.set", writes=True)
def productrow_set(call: Call) -> dict[str, Any]:
    owner_id = php.integer(call.required("ownerId"))
    card = _OWNERS.get(str(call.required("ownerType")))
    if card is None:
        raise ApiError("ENTITY_TYPE_NOT_SUPPORTED", "Entity type is not supported")
    if not call.store.exists(card.table, owner_id):
        raise ApiError("OWNER_NOT_FOUND", "Owner was not found")
    rows = []
    for _, sent in call.required_array("productRows").items():
        if not isinstance(sent, dict):
            raise ApiError("INVALID_ARG_VALUE", "A product row should be an object")
        kept = {
            name: values.keep_loosely(kind, sent[name])
            for name, kind in _KINDS.items()
            if name in sent and name not in _COMPUTED
        }
        rows.append(_DEFAULTS | {"price": 0.0} | kept)
    return {"productRows": [_shown(row) for row in _replace(call, card, owner_id, rows)]}


@method("crm.item.productrow.delete", writes=True)
def productrow_delete(call: Call) -> None:
    row = call.store.row("select * from product_row where id = ?", php.integer(call.required("id")))
    if row is None:
        raise ApiError("NOT_FOUND", "Product item not found")
    card = _OWNERS[row["ownerType"]]
    left = [dict(other) for other in _of(call, card, row["ownerId"]) if other["id"] != row["id"]]
    _replace(call, card, row["ownerId"], left)


def _of(call: Call, card: Card, owner_id: int) -> list[sqlite3.Row]:
    sql = "select * from product_row where ownerType = ? and ownerId = ? order by sort, id"
    return call.store.rows(sql, card.letter, owner_id)


def _replace(call: Call, card: Card, owner_id: int, rows: list[dict[str, Any]]) -> list[sqlite3.Row]:
    call.store.write("delete from product_row where ownerType = ? and ownerId = ?", card.letter, owner_id)
    for number, row in enumerate(rows, 1):
        kept = {name: value for name, value in row.items() if name != "id"}
        call.store.insert("product_row", {"sort": number * 10} | kept | {"ownerType": card.letter, "ownerId": owner_id})
    total = sum(row["price"] * row["quantity"] for row in rows)
    sql = (
        f"update {card.table} set OPPORTUNITY = ? where ID = ? and IS_MANUAL_OPPORTUNITY = 'N' and OPPORTUNITY is not ?"
    )
    call.store.write(sql, total, owner_id, total)
    automation.start(call.store, card, automation.ON_CHANGE)  # whatever the sum is now
    return _of(call, card, owner_id)


_CLASSIC = {"ID": "id", "OWNER_ID": "ownerId", "OWNER_TYPE": "ownerType", "PRODUCT_ID": "productId",
            "PRODUCT_NAME": "productName", "PRICE": "price", "QUANTITY": "quantity"}  # fmt: skip
_AS_TEXT = ("ID", "OWNER_ID")


def _classic_owner(call: Call, card: Card) -> int:
    owner_id = php.integer(call.get("id"))
    if owner_id <= 0:
        raise ApiError("", "The parameter id is invalid or not defined.")
    if not call.store.exists(card.table, owner_id):
        raise ApiError("", "Not found")
    return owner_id


def _classic_get(call: Call, card: Card) -> list[dict[str, Any]]:
    rows = _of(call, card, _classic_owner(call, card))
    return [
        {name: str(row[ours]) if name in _AS_TEXT else row[ours] for name, ours in _CLASSIC.items()} for row in rows
    ]


def _classic_set(call: Call, card: Card) -> bool:
    owner_id = _classic_owner(call, card)
    rows = []
    for _, sent in php.pairs(call.get("rows") or []):
        kept = {ours: values.keep_loosely(_KINDS[ours], sent[name]) for name, ours in _CLASSIC.items() if name in sent}
        rows.append(_DEFAULTS | {"price": 0.0} | kept)
    _replace(call, card, owner_id, rows)
    return True


for _card in (CARDS[1], CARDS[2]):
    method(f"crm.{_card.table}.productrows.get")(partial(_classic_get, card=_card))
    method(f"crm.{_card.table}.productrows.set", writes=True)(partial(_classic_set, card=_card))
