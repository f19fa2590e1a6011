"""Requisite presets: which fields a kind of owner fills, by country.

Pages `requisites/presets/*`. The three presets are those of a fresh Russian portal, with ids as a cloud portal gives
them out (in steps), so that nobody gets far with guessed ids.
"""

from typing import Any

from publish.sandbox import php
from publish.sandbox.books import describe
from publish.sandbox.fields import RECORDS
from publish.sandbox.listing import select_documents
from publish.sandbox.methods import ApiError, Call, Page, method
from publish.sandbox.store import Store, moment

KIND = "preset"
ADDRESS_TYPES = {
    11: "Адрес доставки", 1: "Фактический адрес", 6: "Юридический адрес", 4: "Адрес регистрации",
    8: "Адрес для корреспонденции", 9: "Адрес бенефициара",
}  # fmt: skip
_SHORT = {"RQ_INN", "RQ_KPP", "RQ_COMPANY_NAME", "RQ_OGRNIP", "RQ_LAST_NAME", "RQ_FIRST_NAME"}
_PRESETS = (
    (1, "Организация", "COMPANY", "RQ_INN RQ_COMPANY_NAME RQ_COMPANY_FULL_NAME RQ_OGRN RQ_KPP RQ_COMPANY_REG_DATE "
     "RQ_OKPO RQ_OKTMO RQ_DIRECTOR RQ_ACCOUNTANT RQ_ADDR RQ_SIGNATURE RQ_STAMP"),
    (3, "ИП", "INDIVIDUAL", "RQ_INN RQ_COMPANY_NAME RQ_COMPANY_FULL_NAME RQ_LAST_NAME RQ_FIRST_NAME RQ_SECOND_NAME "
     "RQ_OGRNIP RQ_OKPO RQ_OKVED RQ_ADDR RQ_SIGNATURE RQ_STAMP"),
    (5, "Физ. лицо", "PERSON", "RQ_FIRST_NAME RQ_LAST_NAME RQ_SECOND_NAME RQ_IDENT_DOC RQ_IDENT_DOC_SER "
     "RQ_IDENT_DOC_NUM RQ_IDENT_DOC_ISSUED_BY RQ_IDENT_DOC_DATE RQ_IDENT_DOC_DEP_CODE RQ_ADDR"),
)  # fmt: skip
_COUNTRIES = {
    1: ("RU", "Россия"), 4: ("BY", "Беларусь"), 6: ("KZ", "Казахстан"), 14: ("UA", "Украина"), 34: ("BR", "Бразилия"),
    46: ("DE", "Германия"), 77: ("CO", "Колумбия"), 110: ("PL", "Польша"), 122: ("US", "США"), 132: ("FR", "Франция"),
}  # fmt: skip
_EXTRA_FIELDS = ("RQ_ADDR", "RQ_SIGNATURE", "RQ_STAMP")
_FIELD_FLAGS = {"FIELD_TITLE": "", "IN_SHORT_LIST": "N", "SORT": 500}


def seed(store: Store, now: float) -> None:
    """The presets of a fresh portal; nothing where there are some."""
    if store.documents(KIND):
        return
    for index, (preset_id, name, code, fields) in enumerate(_PRESETS, 1):
        xml_id = f"#CRM_REQUISITE_PRESET_DEF_RU_{code}#"
        body = _new({"NAME": name, "XML_ID": xml_id, "SORT": 400 + index * 100}, now)
        body["fields"] = [
            {
                "ID": number,
                "FIELD_NAME": field,
                "FIELD_TITLE": "",
                "IN_SHORT_LIST": "Y" if field in _SHORT else "N",
                "SORT": 500 + number * 10,
            }
            for number, field in enumerate(fields.split(), 1)
        ]
        store.put_document(KIND, body, preset_id)


def _new(sent: dict[str, Any], now: float, user: int = 1) -> dict[str, Any]:
    return {
        "ENTITY_TYPE_ID": "8",
        "COUNTRY_ID": str(php.integer(sent.get("COUNTRY_ID")) or 1),
        "DATE_CREATE": moment(now),
        "DATE_MODIFY": "",
        "CREATED_BY_ID": str(user),
        "MODIFY_BY_ID": None,
        "NAME": str(sent["NAME"]),
        "XML_ID": sent.get("XML_ID"),
        "ACTIVE": sent.get("ACTIVE", "Y"),
        "SORT": str(php.integer(sent.get("SORT")) or 500),
        "fields": [],
    }


def _held(call: Call, preset_id: int) -> dict[str, Any]:
    preset = call.store.documents(KIND).get(preset_id)
    if preset is None:
        raise ApiError("", f"The Preset with ID '{preset_id}' is not found")
    return preset


def _without_fields(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key != "fields"} for item in items]


@method("crm.requisite.preset.list")
def preset_list(call: Call) -> Page:
    page = select_documents(call, KIND)
    return Page(_without_fields(page.result), page.total, page.next)


@method("crm.requisite.preset.get")
def preset_get(call: Call) -> dict[str, Any]:
    preset_id = call.identifier()
    return _without_fields([{"ID": str(preset_id)} | _held(call, preset_id)])[0]


@method("crm.requisite.preset.add", writes=True)
def preset_add(call: Call) -> int:
    sent = call.fields()
    if php.integer(sent.get("ENTITY_TYPE_ID")) != 8:
        raise ApiError("", "ENTITY_TYPE_ID is not defined or invalid")
    for name in ("COUNTRY_ID", "NAME"):
        if not sent.get(name):
            raise ApiError("", f"{name} is not defined or invalid")
    return call.store.put_document(KIND, _new(sent, call.now, call.user))


@method("crm.requisite.preset.update", writes=True)
def preset_update(call: Call) -> bool:
    preset_id = call.identifier()
    preset, sent = _held(call, preset_id), call.fields()
    changed = {name: str(sent[name]) for name in ("NAME", "XML_ID", "ACTIVE", "SORT") if name in sent}
    changed |= {"DATE_MODIFY": moment(call.now), "MODIFY_BY_ID": str(call.user)}
    call.store.put_document(KIND, preset | changed, preset_id)
    return True


@method("crm.requisite.preset.delete", writes=True)
def preset_delete(call: Call) -> bool:
    preset_id = call.identifier()
    _held(call, preset_id)
    if call.store.value("select 1 from requisite where PRESET_ID = ? limit 1", preset_id):
        raise ApiError("", "You cannot delete the template because requisites have already been created for it")
    call.store.drop_document(KIND, preset_id)
    return True


@method("crm.requisite.preset.fields")
def preset_fields(call: Call) -> dict[str, Any]:
    kinds = {"ID": "integer r", "ENTITY_TYPE_ID": "integer !i", "COUNTRY_ID": "integer !i", "NAME": "string !"}
    kinds |= {"DATE_CREATE": "datetime r", "DATE_MODIFY": "datetime r", "CREATED_BY_ID": "user r"}
    return describe(kinds | {"MODIFY_BY_ID": "user r", "ACTIVE": "char", "SORT": "integer", "XML_ID": "string"})


@method("crm.requisite.preset.countries")
def preset_countries(call: Call) -> list[dict[str, Any]]:
    return [{"ID": key, "CODE": code, "TITLE": title} for key, (code, title) in _COUNTRIES.items()]


def _of_preset(call: Call) -> tuple[int, dict[str, Any]]:
    preset = call.get("preset")
    preset_id = php.integer(preset.get("ID")) if isinstance(preset, dict) else 0
    return preset_id, _held(call, preset_id)


@method("crm.requisite.preset.field.list")
def field_list(call: Call) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = _of_preset(call)[1]["fields"]
    return fields


@method("crm.requisite.preset.field.get")
def field_get(call: Call) -> dict[str, Any]:
    wanted = call.identifier()
    item: dict[str, Any]
    for item in _of_preset(call)[1]["fields"]:
        if item["ID"] == wanted:
            return item
    raise ApiError("", f"The PresetField with ID '{wanted}' is not found")


def _available(preset: dict[str, Any]) -> list[str]:
    taken = {item["FIELD_NAME"] for item in preset["fields"]}
    names = [name for name in RECORDS["requisite"].fields if name.startswith("RQ_")]
    return [name for name in (*names, *_EXTRA_FIELDS) if name not in taken]


@method("crm.requisite.preset.field.availabletoadd")
def field_available(call: Call) -> list[str]:
    return _available(_of_preset(call)[1])


@method("crm.requisite.preset.field.add", writes=True)
def field_add(call: Call) -> int:
    preset_id, preset = _of_preset(call)
    sent = call.fields()
    name = str(sent.get("FIELD_NAME") or "")
    if name not in _available(preset) and not name.startswith("UF_CRM_"):
        raise ApiError("", f"The field '{name}' can not be added.")
    number = max((item["ID"] for item in preset["fields"]), default=0) + 1
    item = {"ID": number, "FIELD_NAME": name} | {key: sent.get(key, value) for key, value in _FIELD_FLAGS.items()}
    call.store.put_document(KIND, preset | {"fields": [*preset["fields"], item]}, preset_id)
    return number
