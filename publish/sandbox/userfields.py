"""Custom fields of cards and requisites, and their values.

Pages `crm-<entity>-userfield-*` and `user-defined-fields/*`. A name gets the prefix `UF_CRM_`, holds A-Z, 0-9 and `_`,
and is at most 50 characters long.
"""

import re
from typing import Any

from publish.sandbox import php, values
from publish.sandbox.fields import CARDS, Record
from publish.sandbox.listing import select_documents
from publish.sandbox.methods import ApiError, Call, method
from publish.sandbox.store import Store

KIND = "userfield"
PREFIX = "UF_CRM_"
_OWNERS = {card.name.lower(): f"CRM_{card.name}" for card in CARDS.values()} | {"requisite": "CRM_REQUISITE"}
_TYPES = {
    "string": "Строка", "integer": "Целое число", "double": "Число", "boolean": "Да/Нет", "enumeration": "Список",
    "datetime": "Дата/Время", "date": "Дата", "money": "Деньги", "url": "Ссылка", "address": "Адрес",
    "file": "Файл", "employee": "Привязка к сотруднику", "crm_status": "Привязка к справочникам CRM",
    "iblock_section": "Привязка к разделам", "iblock_element": "Привязка к элементам", "crm": "Привязка к CRM",
}  # fmt: skip
_SETTINGS: dict[str, dict[str, Any]] = {
    "string": {"SIZE": 20, "ROWS": 1, "REGEXP": "", "MIN_LENGTH": 0, "MAX_LENGTH": 0, "DEFAULT_VALUE": ""},
    "integer": {"SIZE": 20, "MIN_VALUE": 0, "MAX_VALUE": 0, "DEFAULT_VALUE": None},
    "double": {"PRECISION": 4, "SIZE": 20, "MIN_VALUE": 0, "MAX_VALUE": 0, "DEFAULT_VALUE": None},
    "boolean": {"DEFAULT_VALUE": 0, "DISPLAY": "CHECKBOX", "LABEL": ["", ""], "LABEL_CHECKBOX": ""},
    "enumeration": {"DISPLAY": "LIST", "LIST_HEIGHT": 1, "CAPTION_NO_VALUE": "", "SHOW_NO_VALUE": "Y"},
}
_FLAGS = {"MULTIPLE": "N", "MANDATORY": "N", "SHOW_FILTER": "N", "SHOW_IN_LIST": "Y", "EDIT_IN_LIST": "Y"}
_LABELS = ("EDIT_FORM_LABEL", "LIST_COLUMN_LABEL", "LIST_FILTER_LABEL", "ERROR_MESSAGE", "HELP_MESSAGE")
_FIXED = ("ENTITY_ID", "FIELD_NAME", "USER_TYPE_ID", "MULTIPLE")


def definitions(store: Store, record: Record) -> dict[str, dict[str, Any]]:
    """Custom fields of a kind of record, by full name."""
    if record.user_fields is None:
        return {}
    owner = record.user_fields

    def build() -> dict[str, dict[str, Any]]:
        return {item["FIELD_NAME"]: item for item in store.documents(KIND).values() if item["ENTITY_ID"] == owner}

    return store.derived(KIND, owner, build)


def camel(name: str) -> str:
    """Name of a custom field in `crm.item.*`: `UF_CRM_INN` is `ufCrmInn`, `UF_CRM_1234567890` is `ufCrm_1234567890`."""
    parts = name.lower().split("_")
    words = [parts[0]]
    for index, part in enumerate(parts[1:], 1):
        is_last_number = part.isdecimal() and index == len(parts) - 1
        words.append(f"_{part}" if is_last_number else part.capitalize())
    return "".join(words)


def keep(definition: dict[str, Any], value: Any, *, loosely: bool) -> Any:
    """The kept form of a value of a custom field. Raises ApiError `100` for a multiple field that got no array."""
    kind = definition["USER_TYPE_ID"]
    one = values.keep_loosely if loosely else values.keep
    if definition["MULTIPLE"] != "Y":
        # The universal methods empty a custom field for whatever PHP calls empty: a zero comes back as nothing.
        return None if not loosely and php.is_empty(value) else one(kind, value)
    if php.is_empty(value):
        return []
    if not php.is_array(value):
        if loosely:
            return [one(kind, value)]
        kind_name = {str: "string", int: "int", float: "float", bool: "bool"}[type(value)]
        raise ApiError("100", f"Expected iterable value for multiple field, but got `{kind_name}` instead")
    return [kept for _, item in php.pairs(value) if (kept := one(kind, item)) is not None]


def defaults(fields: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Values that custom fields take when a card is made without them."""
    chosen = {}
    for name, definition in fields.items():
        default = (definition.get("SETTINGS") or {}).get("DEFAULT_VALUE")
        if default and not isinstance(default, dict) and definition["MULTIPLE"] != "Y":
            chosen[name] = values.keep_loosely(definition["USER_TYPE_ID"], default)
    return chosen


def show(fields: dict[str, dict[str, Any]], kept: str, *, universal: bool, original: bool = True) -> dict[str, Any]:
    """All custom fields of a row, in one family's form; `original` names or the camelCase ones."""
    if not fields:
        return {}
    held = values.from_json(kept)
    one = values.user_universal if universal else values.user_classic
    shown = {}
    for name, definition in fields.items():
        value, kind = held.get(name), definition["USER_TYPE_ID"]
        key = name if original else camel(name)
        if definition["MULTIPLE"] == "Y":
            shown[key] = [one(kind, item) for item in value or []]
        else:
            shown[key] = one(kind, value)
    return shown


def _full_name(name: str) -> str:
    if not name:
        raise ApiError("", "The 'FIELD_NAME' field is not found.")
    full = name if name.startswith(PREFIX) else PREFIX + name
    if len(full) > 50:
        raise ApiError("ERROR_CORE", "Field name is too long (more than 50 characters).")
    if not re.fullmatch(r"[A-Z0-9_]+", full):
        raise ApiError("ERROR_CORE", "Field name contains invalid characters. Allowed characters are: A-Z, 0-9 and _.")
    return full


def _list_items(fields: dict[str, Any], held: list[dict[str, Any]]) -> list[dict[str, Any]]:
    items = {item["ID"]: item for item in held}
    last = max((int(item["ID"]) for item in held), default=100)
    for _, sent in php.pairs(fields.get("LIST") or []):
        item_id = str(sent.get("ID") or "")
        if sent.get("DEL") == "Y":
            items.pop(item_id, None)
            continue
        if item_id not in items:
            last += 1
            item_id = str(last)
        item = items.get(item_id, {"ID": item_id, "SORT": "500", "DEF": "N", "XML_ID": item_id})
        items[item_id] = item | {key: str(sent[key]) for key in ("VALUE", "SORT", "DEF", "XML_ID") if key in sent}
    keys = [item["XML_ID"] for item in items.values()]
    for key in keys:
        if keys.count(key) > 1:
            raise ApiError("ERROR_CORE", f"List item with XML_ID={key} already exists.")
    return list(items.values())


def _add(call: Call, owner: str) -> int:
    fields = call.fields()
    name = _full_name(str(fields.get("FIELD_NAME") or ""))
    kind = fields.get("USER_TYPE_ID")
    if not kind:
        raise ApiError("", "The 'USER_TYPE_ID' field is not found.")
    if kind not in _TYPES:
        raise ApiError("ERROR_CORE", "Invalid custom type specified.")
    if any(item["FIELD_NAME"] == name and item["ENTITY_ID"] == owner for item in call.store.documents(KIND).values()):
        raise ApiError("ERROR_CORE", f"Поле {name} для объекта {owner} уже существует.")
    document = {
        "ENTITY_ID": owner,
        "FIELD_NAME": name,
        "USER_TYPE_ID": kind,
        "XML_ID": fields.get("XML_ID"),
        "SORT": str(fields.get("SORT") or 100),
    }
    document |= {flag: str(fields.get(flag, default)) for flag, default in _FLAGS.items()}
    document |= {"IS_SEARCHABLE": "N", "SETTINGS": _SETTINGS.get(kind, {}) | dict(fields.get("SETTINGS") or {})}
    label = fields.get("LABEL")
    document |= {key: fields.get(key, label if key.endswith("LABEL") else None) for key in _LABELS}
    if kind == "enumeration":
        document["LIST"] = _list_items(fields, [])
    return call.store.put_document(KIND, document)


def _find(call: Call, owner: str) -> tuple[int, dict[str, Any]]:
    field_id = call.identifier()
    field = call.store.documents(KIND).get(field_id)
    if field is None or field["ENTITY_ID"] != owner:
        raise ApiError("ERROR_NOT_FOUND", f"The entity with ID '{field_id}' is not found.")
    return field_id, field


def _update(call: Call, owner: str) -> bool:
    field_id, field = _find(call, owner)
    fields = call.fields()
    changed = {key: item for key, item in fields.items() if key in field and key not in (*_FIXED, "SETTINGS", "LIST")}
    for flag in ("SORT", *_FLAGS):
        if flag in changed:
            changed[flag] = str(changed[flag])
    if isinstance(fields.get("SETTINGS"), dict):
        changed["SETTINGS"] = field["SETTINGS"] | fields["SETTINGS"]
    if "LIST" in field and "LIST" in fields:
        changed["LIST"] = _list_items(fields, field["LIST"])
    call.store.put_document(KIND, field | changed, field_id)
    return True


def _delete(call: Call, owner: str) -> bool:
    """Delete a field with its values: one that is made again under the same name is empty."""
    field_id, field = _find(call, owner)
    call.store.drop_document(KIND, field_id)
    table, path = owner.removeprefix("CRM_").lower(), f'$."{field["FIELD_NAME"]}"'
    call.store.write(f"update {table} set UF = json_remove(UF, ?) where json_type(UF, ?) is not null", path, path)
    return True


def _get(call: Call, owner: str) -> dict[str, Any]:
    field_id, field = _find(call, owner)
    return {"ID": str(field_id)} | field


def _register(name: str, owner: str) -> None:
    method(f"crm.{name}.userfield.add", writes=True)(lambda call: _add(call, owner))
    method(f"crm.{name}.userfield.update", writes=True)(lambda call: _update(call, owner))
    method(f"crm.{name}.userfield.delete", writes=True)(lambda call: _delete(call, owner))
    method(f"crm.{name}.userfield.get")(lambda call: _get(call, owner))
    method(f"crm.{name}.userfield.list")(lambda call: select_documents(call, KIND, {"ENTITY_ID": owner}))


for _name, _owner in _OWNERS.items():
    _register(_name, _owner)


@method("crm.userfield.types")
def types(call: Call) -> list[dict[str, str]]:
    return [{"ID": kind, "title": title} for kind, title in _TYPES.items()]


@method("crm.userfield.fields")
def fields_of_a_user_field(call: Call) -> dict[str, Any]:
    kinds = {"ID": "int", "ENTITY_ID": "string", "FIELD_NAME": "string", "USER_TYPE_ID": "string", "XML_ID": "string"}
    kinds |= {"SORT": "int"} | dict.fromkeys((*_FLAGS, "IS_SEARCHABLE"), "char") | dict.fromkeys(_LABELS, "string")
    kinds |= {"LIST": "uf_enum_element", "SETTINGS": "object"}
    return {name: {"type": kind, "title": name} for name, kind in kinds.items()}


@method("crm.userfield.settings.fields")
def settings_fields(call: Call) -> dict[str, Any] | list[Any]:
    kind = call.get("type")
    if not kind:
        raise ApiError("", "Parameter 'type' is not specified or empty.")
    return php.array({name: {"type": "string", "title": name} for name in _SETTINGS.get(str(kind), {})})


@method("crm.userfield.enumeration.fields")
def enumeration_fields(call: Call) -> dict[str, Any]:
    kinds = {"ID": "int", "SORT": "int", "VALUE": "string", "DEF": "string", "DEL": "string"}
    return {name: {"type": kind, "title": name} for name, kind in kinds.items()}
