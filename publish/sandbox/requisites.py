"""Requisites, their bank details and their addresses.

Pages `requisites/universal/*`, `requisites/bank-detail/*`, `requisites/addresses/*`, `requisites/links/*`. A requisite
belongs to a contact or a company for good; nothing about it is unique, not even its INN. An address belongs to a
requisite (or a lead) and has no id: its key is its type and its owner.
"""

import sqlite3
from typing import Any

from publish.sandbox import cards, php, presets, userfields, values
from publish.sandbox.fields import CARDS, RECORDS, Record
from publish.sandbox.items import user_column
from publish.sandbox.listing import Column, condition, ordering, select, start_of
from publish.sandbox.methods import ApiError, Call, Page, method
from publish.sandbox.store import moment

REQUISITE, BANK_DETAIL, ADDRESS = RECORDS["requisite"], RECORDS["bank_detail"], RECORDS["address"]
REQUISITE_TYPE_ID = 8
LINK = "requisite_link"
_LINK_PARTS = ("REQUISITE_ID", "BANK_DETAIL_ID", "MC_REQUISITE_ID", "MC_BANK_DETAIL_ID")


def _row(record: Record, sent: dict[str, Any], *, is_new: bool) -> dict[str, Any]:
    row = {}
    for item in record.columns:
        if item.name in sent and not item.read_only and not item.hidden and (is_new or not item.immutable):
            row[item.name] = values.keep_loosely(item.type, sent[item.name])
        elif is_new and item.default not in (None, "@user"):
            row[item.name] = values.keep_loosely(item.type, item.default)
    return row


def _user_values(call: Call, record: Record, sent: dict[str, Any], held: str = "{}") -> str:
    custom = userfields.definitions(call.store, record)
    wanted = {
        name: userfields.keep(custom[name], value, loosely=True) for name, value in sent.items() if name in custom
    }
    return values.to_json(values.from_json(held) | wanted) if wanted else held


def _held(call: Call, record: Record) -> sqlite3.Row:
    record_id = call.identifier()
    row = call.store.row(f"select * from {record.table} where ID = ?", record_id)
    if row is None:
        raise ApiError("", f"The {record.name} with ID '{record_id}' is not found")
    return row


def _shown(call: Call, record: Record, row: sqlite3.Row) -> dict[str, Any]:
    item = {field.name: values.classic(field.type, row[field.name]) for field in record.columns if not field.hidden}
    return item | userfields.show(userfields.definitions(call.store, record), row["UF"], universal=False)


def _list(call: Call, record: Record) -> Page:
    known = {field.name: Column(f'"{field.name}"', field.type) for field in record.columns if not field.hidden}
    custom = userfields.definitions(call.store, record)
    known |= {name: user_column(definition) for name, definition in custom.items()}
    where, bound = condition(call.mapping("filter"), known.get, strict=False)
    order = ordering(call.mapping("order"), known.get)
    rows, total, following = select(call.store, record.table, where, bound, order, start_of(call))
    chosen = {name for _, name in php.pairs(call.get("select") or ["*", "UF_*"])} or {"*", "UF_*"}
    shown = []
    for row in rows:
        item = _shown(call, record, row)
        if not {"*", "UF_*"} <= chosen:
            item = {
                key: value
                for key, value in item.items()
                if key in chosen or ("UF_*" if key.startswith(userfields.PREFIX) else "*") in chosen
            }
        shown.append(item)
    return Page(shown, total, following)


def _stamped(call: Call, row: dict[str, Any]) -> dict[str, Any]:
    return row | {"DATE_CREATE": moment(call.now), "CREATED_BY_ID": call.user}


def _update(call: Call, record: Record) -> bool:
    held = _held(call, record)
    sent = call.fields()
    row = _row(record, sent, is_new=False) | {"UF": _user_values(call, record, sent, held["UF"])}
    call.store.update(record.table, held["ID"], row | {"DATE_MODIFY": moment(call.now), "MODIFY_BY_ID": call.user})
    return True


def _need(sent: dict[str, Any], name: str) -> int:
    value = php.integer(sent.get(name))
    if value <= 0:
        raise ApiError("", f"{name} is not defined or invalid.")
    return value


def _need_text(sent: dict[str, Any], name: str) -> None:
    if not sent.get(name):
        raise ApiError("", f"{name} is not defined or invalid.")


@method("crm.requisite.add", writes=True)
def requisite_add(call: Call) -> int:
    sent = call.fields()
    card = cards.of_type(_need(sent, "ENTITY_TYPE_ID"))
    if card is None or card.name not in ("CONTACT", "COMPANY"):
        raise ApiError("", "ENTITY_TYPE_ID is not defined or invalid.")
    owner_id = _need(sent, "ENTITY_ID")
    if _need(sent, "PRESET_ID") not in call.store.documents(presets.KIND):
        raise ApiError("", "PRESET_ID is not defined or invalid.")
    _need_text(sent, "NAME")
    if not call.store.exists(card.table, owner_id):
        raise ApiError("", "Entity not found.")
    row = _stamped(call, _row(REQUISITE, sent, is_new=True)) | {"UF": _user_values(call, REQUISITE, sent)}
    return call.store.insert("requisite", row)


@method("crm.requisite.update", writes=True)
def requisite_update(call: Call) -> bool:
    return _update(call, REQUISITE)


@method("crm.requisite.get")
def requisite_get(call: Call) -> dict[str, Any]:
    return _shown(call, REQUISITE, _held(call, REQUISITE))


@method("crm.requisite.list")
def requisite_list(call: Call) -> Page:
    return _list(call, REQUISITE)


@method("crm.requisite.delete", writes=True)
def requisite_delete(call: Call) -> bool:
    cards.delete_requisite(call.store, _held(call, REQUISITE)["ID"])
    return True


def _fields(call: Call, record: Record) -> dict[str, Any]:
    described = {}
    for item in record.columns:
        if not item.hidden:
            described[item.name] = {
                "type": item.type,
                "isRequired": item.required,
                "isReadOnly": item.read_only,
                "isImmutable": item.immutable,
                "isMultiple": False,
                "isDynamic": False,
                "title": item.name,
            }
    for name, definition in userfields.definitions(call.store, record).items():
        described[name] = {
            "type": definition["USER_TYPE_ID"],
            "isRequired": definition["MANDATORY"] == "Y",
            "isReadOnly": False,
            "isImmutable": False,
            "isMultiple": definition["MULTIPLE"] == "Y",
            "isDynamic": True,
            "title": name,
        }
    return described


@method("crm.requisite.fields")
def requisite_fields(call: Call) -> dict[str, Any]:
    return _fields(call, REQUISITE)


@method("crm.requisite.bankdetail.add", writes=True)
def bank_detail_add(call: Call) -> int:
    sent = call.fields()
    requisite_id = _need(sent, "ENTITY_ID")
    _need_text(sent, "NAME")
    if not call.store.exists("requisite", requisite_id):
        raise ApiError("", f"The Requisite with ID '{requisite_id}' is not found")
    return call.store.insert("bank_detail", _stamped(call, _row(BANK_DETAIL, sent, is_new=True)))


@method("crm.requisite.bankdetail.update", writes=True)
def bank_detail_update(call: Call) -> bool:
    return _update(call, BANK_DETAIL)


@method("crm.requisite.bankdetail.get")
def bank_detail_get(call: Call) -> dict[str, Any]:
    return _shown(call, BANK_DETAIL, _held(call, BANK_DETAIL))


@method("crm.requisite.bankdetail.list")
def bank_detail_list(call: Call) -> Page:
    return _list(call, BANK_DETAIL)


@method("crm.requisite.bankdetail.delete", writes=True)
def bank_detail_delete(call: Call) -> bool:
    call.store.write("delete from bank_detail where ID = ?", _held(call, BANK_DETAIL)["ID"])
    return True


@method("crm.requisite.bankdetail.fields")
def bank_detail_fields(call: Call) -> dict[str, Any]:
    return _fields(call, BANK_DETAIL)


def _address_key(sent: dict[str, Any]) -> tuple[int, int, int]:
    """Type and owner of an address. Companies and contacts own addresses only on portals from before requisites."""
    type_id, owner_type = _need(sent, "TYPE_ID"), _need(sent, "ENTITY_TYPE_ID")
    if type_id not in presets.ADDRESS_TYPES:
        raise ApiError("", "TYPE_ID is not defined or invalid.")
    if owner_type not in (REQUISITE_TYPE_ID, 1):
        raise ApiError("", "ENTITY_TYPE_ID is not defined or invalid.")
    return type_id, owner_type, _need(sent, "ENTITY_ID")


def _find_address(call: Call, key: tuple[int, int, int]) -> sqlite3.Row | None:
    return call.store.row("select * from address where TYPE_ID = ? and ENTITY_TYPE_ID = ? and ENTITY_ID = ?", *key)


@method("crm.address.add", writes=True)
def address_add(call: Call) -> bool:
    sent = call.fields()
    key = _address_key(sent)
    _, owner_type, owner_id = key
    table = "requisite" if owner_type == REQUISITE_TYPE_ID else "lead"
    owner = call.store.row(f"select * from {table} where ID = ?", owner_id)
    if owner is None:
        raise ApiError("", "ENTITY_ID is not defined or invalid.")
    if _find_address(call, key):
        raise ApiError("", "TypeAddress exists.")
    row = _row(ADDRESS, sent, is_new=True)
    row["ANCHOR_TYPE_ID"] = owner["ENTITY_TYPE_ID"] if table == "requisite" else owner_type
    row["ANCHOR_ID"] = owner["ENTITY_ID"] if table == "requisite" else owner_id
    call.store.insert("address", row)
    return True


@method("crm.address.update", writes=True)
def address_update(call: Call) -> bool:
    sent = call.fields()
    address = _find_address(call, _address_key(sent))
    if address is None:
        raise ApiError("", "TypeAddress not found.")
    call.store.update("address", address["ID"], _row(ADDRESS, sent, is_new=False))
    return True


@method("crm.address.delete", writes=True)
def address_delete(call: Call) -> bool:
    address = _find_address(call, _address_key(call.fields()))
    if address is None:
        raise ApiError("", "TypeAddress not found.")
    call.store.write("delete from address where ID = ?", address["ID"])
    return True


@method("crm.address.list")
def address_list(call: Call) -> Page:
    return _list(call, ADDRESS)


@method("crm.address.fields")
def address_fields(call: Call) -> dict[str, Any]:
    return _fields(call, ADDRESS)


_LINK_COLUMNS = {name: Column(name, "integer") for name in ("ENTITY_TYPE_ID", "ENTITY_ID", *_LINK_PARTS)}


@method("crm.requisite.link.register", writes=True)
def link_register(call: Call) -> bool:
    """Choose the requisites of a deal or a quote; what was chosen before is replaced. All six fields have to be there,
    0 for none; the client's are those of the card's company or contact, ours those of a company of our own."""
    sent = call.fields()
    card = cards.of_type(_need(sent, "ENTITY_TYPE_ID"))
    owner_id = _need(sent, "ENTITY_ID")
    owner = None if card is None or card.name not in ("DEAL", "QUOTE") else cards.load(call.store, card, owner_id)
    if card is None or owner is None:
        raise ApiError("", "Entity is not found")
    for name in _LINK_PARTS:
        if name not in sent or php.integer(sent[name]) < 0:
            raise ApiError("", f"{name} is not defined or invalid")
    parts = {name: php.integer(sent[name]) for name in _LINK_PARTS}
    _check_client(call, owner, parts["REQUISITE_ID"])
    _check_bank_detail(call, parts["REQUISITE_ID"], parts["BANK_DETAIL_ID"], "")
    if parts["MC_REQUISITE_ID"]:
        ours = _requisite(call, parts["MC_REQUISITE_ID"], " of your company")
        company = cards.load(call.store, CARDS[4], ours["ENTITY_ID"]) if ours["ENTITY_TYPE_ID"] == 4 else None
        if company is None or company["IS_MY_COMPANY"] != "Y":
            raise ApiError("", f"The Requisite with ID '{ours['ID']}' is not assigned to your company with ID '0'")
    _check_bank_detail(call, parts["MC_REQUISITE_ID"], parts["MC_BANK_DETAIL_ID"], " of your company")
    call.store.write(f"delete from {LINK} where ENTITY_TYPE_ID = ? and ENTITY_ID = ?", card.type_id, owner_id)
    call.store.insert(LINK, {"ENTITY_TYPE_ID": card.type_id, "ENTITY_ID": owner_id} | parts)
    return True


def _requisite(call: Call, requisite_id: int, whose: str) -> sqlite3.Row:
    row = call.store.row("select * from requisite where ID = ?", requisite_id)
    if row is None:
        raise ApiError("", f"The Requisite{whose} with ID '{requisite_id}' is not found")
    return row


def _check_client(call: Call, owner: sqlite3.Row, requisite_id: int) -> None:
    if not requisite_id:
        return
    requisite = _requisite(call, requisite_id, "")
    clients = {(4, owner["COMPANY_ID"]), (3, owner["CONTACT_ID"])}
    if (requisite["ENTITY_TYPE_ID"], requisite["ENTITY_ID"]) not in clients:
        company = owner["COMPANY_ID"] or 0
        raise ApiError("", f"The Requisite with ID '{requisite_id}' is not assigned to Company with ID '{company}'")


def _check_bank_detail(call: Call, requisite_id: int, bank_detail_id: int, whose: str) -> None:
    if not bank_detail_id:
        return
    owner = call.store.value("select ENTITY_ID from bank_detail where ID = ?", bank_detail_id)
    if owner is None:
        raise ApiError("", f"The BankDetail{whose} with ID '{bank_detail_id}' is not found")
    if owner != requisite_id:
        problem = f"is not assigned to Requisite{whose} with ID '{requisite_id}'"
        raise ApiError("", f"The BankDetail{whose} with ID '{bank_detail_id}' {problem}")


def _link(call: Call) -> sqlite3.Row | None:
    key = (php.integer(call.get("entityTypeId")), php.integer(call.get("entityId")))
    return call.store.row(f"select * from {LINK} where ENTITY_TYPE_ID = ? and ENTITY_ID = ?", *key)


@method("crm.requisite.link.get")
def link_get(call: Call) -> dict[str, Any]:
    link = _link(call)
    if link is None:
        raise ApiError("", "Not found")
    return {name: str(link[name]) if name in _LINK_PARTS else link[name] for name in _LINK_COLUMNS}


@method("crm.requisite.link.unregister", writes=True)
def link_unregister(call: Call) -> bool:
    link = _link(call)
    if link is not None:
        call.store.write(f"delete from {LINK} where ID = ?", link["ID"])
    return True


@method("crm.requisite.link.list")
def link_list(call: Call) -> Page:
    where, bound = condition(call.mapping("filter"), _LINK_COLUMNS.get, strict=False)
    order = ordering(call.mapping("order"), _LINK_COLUMNS.get)
    links = select(call.store, LINK, where, bound, order, start_of(call))
    return Page([{name: str(row[name]) for name in _LINK_COLUMNS} for row in links.rows], links.total, links.next)
