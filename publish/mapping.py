"""Mart column -> portal field, part by part. Renaming only: what a company or a person is, the models decided.

A part is what one portal method creates: a card, its requisite, a bank detail, an address, a link. Field names are
those of the method that takes them: camelCase in `crm.item.*` (custom fields by their own names), upper case in
`crm.requisite.*`, `crm.address.*`. Pages `universal/object-fields`, `requisites/universal/index`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

ORIGINATOR = "svod"
STATE = "UF_CRM_SVOD_STATE"
LEGAL_ADDRESS_TYPE = 6  # crm.enum.addresstype
REQUISITE_TYPE_ID = 8  # the owner of an address, page `requisites/addresses/crm-address-add`
MULTIFIELDS = ("PHONE", "EMAIL")
# A date in the portal is a calendar day of its managers. Moscow has been three hours ahead of UTC since 2014.
_DAY = "strftime({} + interval 3 hour, '%Y-%m-%d')"


@dataclass(frozen=True, slots=True)
class Field:
    """A portal field and the SQL that reads it from the mart.

    `once` fields go with the create only. A `has_default` field is filled by the portal where we sent nothing, so that
    a value there need not be a manager's.
    """

    name: str
    column: str
    kind: str = "text"  # text, number, date, multifield, stage, company, contact, preset
    once: bool = False
    has_default: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a unit: `entity` in `sync.ledger`, its key and its fields as SQL over a mart."""

    entity: str
    mart: str
    origin: str
    fields: tuple[Field, ...]
    type_id: int = 0  # entityTypeId of a card, 0 for other parts
    where: str = "true"

    @property
    def wanted(self) -> str:
        """SQL of a part's fields as one JSON text: keys in this order, so that equal fields are equal texts."""
        return "json_object(" + ", ".join(f"'{item.name}', {item.column}" for item in self.fields) + ")::varchar"


def _list_as_text(column: str) -> str:
    return f"trim({column}::varchar, '[]')"


COMPANY = Part(
    "company",
    "marts.crm_companies",
    "company_id",
    (
        Field("title", "title"),
        Field("typeId", "'CUSTOMER'", once=True),
        Field("UF_CRM_SVOD_SOURCES", _list_as_text("sources")),
        Field("UF_CRM_SVOD_ORDER_COUNT", "order_count", "number"),
        Field("UF_CRM_SVOD_ORDER_TOTAL", "order_total::varchar", "number"),
        Field("UF_CRM_SVOD_LAST_ORDER", _DAY.format("last_order_at"), "date"),
        Field(STATE, "'active'"),
    ),
    type_id=4,
)
REQUISITE = Part(
    "requisite",
    "marts.crm_companies",
    "company_id",
    (
        # Twelve digits are a person's number: page `requisites/universal/index`, fields of the two presets.
        Field("PRESET_ID", "case when length(inn) = 12 then 'INDIVIDUAL' else 'COMPANY' end", "preset", once=True),
        Field("NAME", "case when length(inn) = 12 then 'ИП' else 'Организация' end", once=True),
        Field("RQ_INN", "inn"),
        Field("RQ_KPP", "kpp"),
        Field("RQ_OGRN", "case when length(inn) = 10 then ogrn end"),
        Field("RQ_OGRNIP", "case when length(inn) = 12 then ogrn end"),
        Field("RQ_COMPANY_NAME", "title"),
        Field("RQ_COMPANY_FULL_NAME", "full_name"),
        Field("RQ_DIRECTOR", "director_name"),
    ),
)
BANK_DETAIL = Part(
    "bank_detail",
    "marts.crm_companies",
    "company_id",
    (
        Field("NAME", "coalesce(bank_name, bik, account)", once=True),
        Field("RQ_BANK_NAME", "bank_name"),
        Field("RQ_BIK", "bik"),
        Field("RQ_ACC_NUM", "account"),
        Field("RQ_COR_ACC_NUM", "corr_account"),
    ),
    where="account is not null",
)
ADDRESS = Part(
    "address",
    "marts.crm_companies",
    "company_id",
    (Field("ADDRESS_1", "legal_address"),),
    where="legal_address is not null",
)
CONTACT = Part(
    "contact",
    "marts.crm_contacts",
    "contact_id",
    (
        # The portal takes no contact without a name; the number to call is the best name such a person has.
        Field("lastName", "case when coalesce(last_name, first_name) is null then coalesce(phones[1], emails[1], "
              "second_name) else last_name end"),
        Field("name", "first_name"),
        Field("secondName", "second_name"),
        Field("post", "post"),
        Field("PHONE", "list_sort(coalesce(phones, []))", "multifield"),
        Field("EMAIL", "list_sort(coalesce(emails, []))", "multifield"),
        Field(STATE, "'active'"),
    ),
    type_id=3,
)  # fmt: skip
LINK = Part("company_contact", "marts.crm_company_contacts", "contact_id || '/' || company_id", ())
DEAL = Part(
    "deal",
    "marts.crm_deals",
    "deal_id",
    (
        Field("title", "title"),
        Field("opportunity", "amount::varchar", "number"),
        Field("currencyId", "currency"),
        Field("stageId", "status", "stage"),
        Field("companyId", "company_id", "company"),
        Field("contactId", "contact_id", "contact"),
        Field("begindate", _DAY.format("ordered_at"), "date", has_default=True),
        Field("closedate", _DAY.format("closed_at"), "date", has_default=True),
        Field("isManualOpportunity", "'Y'", once=True),  # else the portal takes the sum from goods, and there are none
    ),
    type_id=2,
)
CARDS = (COMPANY, CONTACT, DEAL)
PARTS = {part.entity: part for part in (COMPANY, REQUISITE, BANK_DETAIL, ADDRESS, CONTACT, LINK, DEAL)}

# Custom fields by card: name -> (type, label). Page `companies/userfields/crm-company-userfield-add`.
CUSTOM_FIELDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "company": {
        "UF_CRM_SVOD_SOURCES": ("string", "Источники"),
        "UF_CRM_SVOD_ORDER_COUNT": ("integer", "Заказов"),
        "UF_CRM_SVOD_ORDER_TOTAL": ("double", "Сумма заказов, руб."),
        "UF_CRM_SVOD_LAST_ORDER": ("date", "Последний заказ"),
        STATE: ("string", "Состояние в источниках"),
    },
    "contact": {STATE: ("string", "Состояние в источниках")},
}

# Order status -> stages of the general pipeline, the first that the portal has; `WON` and `LOSE` are always there.
DEAL_STAGES: Mapping[str, tuple[str, ...]] = {
    "new": ("NEW",),
    "paid": ("PREPARATION", "PREPAYMENT_INVOICE", "NEW"),
    "shipped": ("EXECUTING", "PREPARATION", "NEW"),
    "done": ("WON",),
    "cancelled": ("LOSE",),
}


def decoded(text: str | None) -> dict[str, Any]:
    return json.loads(text) if text else {}


def canonical(kind: str, value: Any) -> Any:
    """One form for what we want, what we sent and what the portal shows; None where there is nothing.

    The portal answers numbers as texts or floats, dates with a time and a zone, and empty texts for what is not set.
    """
    if value is None or value == "" or value == []:
        return None
    if kind == "number":
        try:
            number = Decimal(str(value)).normalize()
        except InvalidOperation:
            return str(value)
        return number
    if kind == "date":
        return str(value)[:10]
    if kind in ("company", "contact"):
        return str(value) if str(value) != "0" else None
    return re.sub(r"\s+", " ", str(value)).strip() or None


def same_value(type_id: str, value: str) -> str:
    """What two spellings of one phone or e-mail have in common."""
    if type_id == "EMAIL":
        return value.strip().casefold()
    digits = re.sub(r"\D", "", value)
    return "7" + digits[1:] if len(digits) == 11 and digits[0] == "8" else digits


def encoded(fields: Mapping[str, Any]) -> str:
    """Fields as JSON text in the form that the warehouse gives them."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
