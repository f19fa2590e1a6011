"""What a push looks up or creates once: requisite presets, deal stages, custom fields. Also how parts are added.

Pages `requisites/presets/crm-requisite-preset-list`, `status/crm-status-list`, `companies/userfields/*`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.warehouse.errors import OperatorError, SettingsError
from publish import mapping
from publish.mapping import CUSTOM_FIELDS, DEAL_STAGES, PARTS
from publish.portal import Command, Kind, Portal, PortalError, rows_of

_ATTEMPTS = 6
_ADD = {"requisite": "crm.requisite.add", "bank_detail": "crm.requisite.bankdetail.add", "address": "crm.address.add"}


@dataclass(frozen=True)
class PortalBooks:
    """Ids of this portal: preset by kind (COMPANY, INDIVIDUAL), stage by order status."""

    presets: Mapping[str, int] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)

    def part_to_add(self, entity: str, owner_id: int, wanted: Mapping[str, Any]) -> Command:
        """The command that adds a part to its card or requisite."""
        fields = {item.name: wanted.get(item.name) for item in PARTS[entity].fields}
        fields = {name: value for name, value in fields.items() if value is not None} | {"ENTITY_ID": owner_id}
        if entity == "requisite":
            fields |= {"ENTITY_TYPE_ID": 4, "PRESET_ID": self.presets[wanted["PRESET_ID"]]}
        elif entity == "address":
            fields |= {"ENTITY_TYPE_ID": mapping.REQUISITE_TYPE_ID, "TYPE_ID": mapping.LEGAL_ADDRESS_TYPE}
        return Command(_ADD[entity], {"fields": fields})


async def prepare(portal: Portal, chosen_stages: Mapping[str, str] | None = None) -> PortalBooks:
    """Read the portal's books and create the custom fields it lacks.

    Raises OperatorError when the portal has no Russian requisite presets or creates no fields,
    SettingsError for a stage it does not have.
    """
    lists = [
        Command("crm.requisite.preset.list", {"order": {"ID": "ASC"}, "select": ["ID", "XML_ID", "NAME", "ACTIVE"]}),
        Command("crm.status.list", {"filter": {"ENTITY_ID": "DEAL_STAGE"}, "order": {"SORT": "ASC"}}),
    ]
    presets, stages, *custom = await portal.read([*lists, *_CUSTOM_LISTS])
    books = PortalBooks(_presets(rows_of(presets)), _stages(rows_of(stages), chosen_stages or {}))
    for _ in range(_ATTEMPTS):
        missing = _missing(custom)
        if not missing:
            return books
        for outcome in await portal.send(missing):
            if outcome.error is not None:
                raise outcome.error.stop() if outcome.error.kind is Kind.STOP else _not_created(outcome.error)
        # Read again: an answer may have been lost before or after its field was created.
        custom = await portal.read(_CUSTOM_LISTS)
    raise _not_created(PortalError("", "they are not in its lists"))


_CUSTOM_LISTS = [Command(f"crm.{card}.userfield.list", {}) for card in CUSTOM_FIELDS]


def _missing(listed: list[Any]) -> list[Command]:
    """Commands that create the custom fields which are not listed."""
    return [
        Command(f"crm.{card}.userfield.add", {"fields": _custom_field(name, kind, label)})
        for (card, wanted), held in zip(CUSTOM_FIELDS.items(), listed, strict=True)
        for name, (kind, label) in wanted.items()
        if name not in {str(row.get("FIELD_NAME")) for row in rows_of(held)}
    ]


def _not_created(error: PortalError) -> OperatorError:
    return OperatorError(
        f"the portal did not create the custom fields: {error.code} {error.description}",
        hint="the webhook's user must be an administrator of CRM the first time",
    )


def _custom_field(name: str, kind: str, label: str) -> dict[str, Any]:
    return {
        "FIELD_NAME": name.removeprefix("UF_CRM_"),
        "USER_TYPE_ID": kind,
        "XML_ID": name,
        "EDIT_FORM_LABEL": {"ru": label},
        "LIST_COLUMN_LABEL": {"ru": label},
        "SHOW_FILTER": "Y",
    }


def _presets(rows: list[dict[str, Any]]) -> dict[str, int]:
    """The portal's own presets, by the mark that it gives them; ids differ from portal to portal."""
    found: dict[str, int] = {}
    for kind, name in (("COMPANY", "Организация"), ("INDIVIDUAL", "ИП")):
        marked = [row for row in rows if str(row.get("XML_ID") or "").endswith(f"_RU_{kind}#")]
        named = [row for row in rows if str(row.get("NAME")) == name]
        if not marked and not named:
            raise OperatorError(
                f"the portal has no requisite preset «{name}»", hint="add it in CRM settings, Company details templates"
            )
        found[kind] = int((marked or named)[0]["ID"])
    return found


def _stages(rows: list[dict[str, Any]], chosen: Mapping[str, str]) -> dict[str, str]:
    held = [str(row["STATUS_ID"]) for row in rows]
    found = {}
    for status, candidates in DEAL_STAGES.items():
        if status in chosen and chosen[status] not in held:
            raise SettingsError(
                f"SVOD_DEAL_STAGES: the portal has no deal stage {chosen[status]}", hint=f"there are {', '.join(held)}"
            )
        first = [chosen[status]] if status in chosen else [one for one in candidates if one in held]
        found[status] = first[0] if first else held[0]
    return found
