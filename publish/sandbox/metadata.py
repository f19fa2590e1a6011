"""Methods about the portal itself: time, scopes, enumerations, currencies.

Pages `common/system/*`, `auxiliary/*`, `currency/*`.
"""

from typing import Any

from publish.sandbox import books
from publish.sandbox.fields import CARDS
from publish.sandbox.methods import METHODS, ApiError, Call, method
from publish.sandbox.presets import ADDRESS_TYPES
from publish.sandbox.store import moment

# First words of methods that a real portal has and this one has not: outside the webhook's scope, not unknown.
OTHER_SCOPES = frozenset(
    {
        "bizproc", "calendar", "catalog", "department", "disk", "entity", "im", "imbot", "imopenlines", "landing",
        "lists", "log", "mailservice", "messageservice", "placement", "sale", "sonet_group", "task", "tasks",
        "telephony", "timeman", "user", "userconsent", "userfieldconfig", "voximplant",
    }
)  # fmt: skip


@method("methods")
def methods(call: Call) -> list[str]:
    return sorted(item.name for item in METHODS.values())


@method("method.get")
def method_get(call: Call) -> dict[str, bool]:
    known = str(call.get("name") or "").lower() in METHODS
    return {"isExisting": known, "isAvailable": known}


@method("scope")
def scope(call: Call) -> list[str]:
    return sorted(call.scopes)


@method("server.time")
def server_time(call: Call) -> str:
    return moment(call.now)


@method("app.info")
def app_info(call: Call) -> dict[str, Any]:
    raise ApiError("ACCESS_DENIED", "Access denied! Application context required", 403)


@method("feature.get")
def feature_get(call: Call) -> dict[str, str]:
    if not call.get("code"):
        raise ApiError("CODE_EMPTY", "CODE can't be empty")
    return {"value": "Y"}


@method("crm.settings.mode.get")
def settings_mode(call: Call) -> int:
    return 1


def _enumeration(values: dict[int, str], codes: dict[int, tuple[str, str]] | None = None) -> list[dict[str, Any]]:
    entries = []
    for key, name in values.items():
        code, short = (codes or {}).get(key, (None, None))
        entries.append({"ID": key, "NAME": name, "SYMBOL_CODE": code, "SYMBOL_CODE_SHORT": short})
    return entries


@method("crm.enum.ownertype")
def owner_types(call: Call) -> list[dict[str, Any]]:
    codes = {card.type_id: (card.name, card.letter) for card in CARDS.values()} | {8: ("REQUISITE", "RQ")}
    return _enumeration({card.type_id: card.title for card in CARDS.values()} | {8: "Реквизиты"}, codes)


@method("crm.enum.addresstype")
def address_types(call: Call) -> list[dict[str, Any]]:
    return _enumeration(ADDRESS_TYPES)


@method("crm.enum.settings.mode")
def settings_modes(call: Call) -> list[dict[str, Any]]:
    return _enumeration({1: "Классическая CRM", 2: "Простая CRM"})


@method("crm.enum.getorderownertypes")
def order_owner_types(call: Call) -> list[dict[str, Any]]:
    return [{"attribute": "DYN", "code": "DEAL", "id": 2, "name": "Сделка"}]


@method("crm.enum.fields")
def enumeration_fields(call: Call) -> dict[str, Any]:
    kinds = {"ID": "int r", "NAME": "string r", "SYMBOL_CODE": "string r", "SYMBOL_CODE_SHORT": "string r"}
    return books.describe(kinds)


@method("crm.multifield.fields")
def multifield_fields(call: Call) -> dict[str, Any]:
    return books.describe({"ID": "int r", "TYPE_ID": "string r", "VALUE": "string", "VALUE_TYPE": "string"})


def _currencies(call: Call) -> list[dict[str, Any]]:
    return list(call.store.documents(books.CURRENCY).values())


@method("crm.currency.list")
def currency_list(call: Call) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key != "LANG"} for item in _currencies(call)]


@method("crm.currency.get")
def currency_get(call: Call) -> dict[str, Any]:
    for item in _currencies(call):
        if item["CURRENCY"] == call.get("id"):
            return item
    raise ApiError("", "Not found")


@method("crm.currency.base.get")
def currency_base(call: Call) -> str:
    return next(str(item["CURRENCY"]) for item in _currencies(call) if item["BASE"] == "Y")


@method("crm.currency.fields")
def currency_fields(call: Call) -> dict[str, Any]:
    kinds = {"CURRENCY": "string", "AMOUNT_CNT": "int", "AMOUNT": "double", "BASE": "char r", "SORT": "int"}
    kinds |= {"DATE_UPDATE": "datetime r", "LID": "string r", "FORMAT_STRING": "string r", "FULL_NAME": "string r"}
    return books.describe(kinds | {"DEC_POINT": "string r", "THOUSANDS_SEP": "string r", "DECIMALS": "int r"})
