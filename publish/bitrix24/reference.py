"""What a push looks up or creates once in the portal: lists of values (presets, stages) and custom fields.

Pages `requisites/presets/crm-requisite-preset-list`, `status/crm-status-list`, `companies/userfields/*`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.variables import known_names_hint
from publish.bitrix24.client import Client, Command, rows_of
from publish.bitrix24.errors import PortalError, Reaction
from publish.bitrix24.kinds import Card, Catalogue, Translations
from publish.bitrix24.parts import PRESETS
from publish.parts import Choices, Field, Part
from publish.settings import Settings

_ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Reference:
    """What the portal calls our values: entity -> field -> our value -> its value."""

    choices: Mapping[str, Translations] = dataclasses.field(default_factory=dict)

    def of(self, part: Part) -> Translations:
        return self.choices.get(part.entity, {})


async def prepare(
    client: Client, connection: duckdb.DuckDBPyConnection, parts: Catalogue, settings: Settings
) -> Reference:
    """Read the portal's lists and create the custom fields it lacks.

    Raises OperatorError when the portal lacks the preset of a requisite or creates no fields,
    SettingsError for a stage it does not have.
    """
    fields = [(part, field, field.choices) for part in parts for field in part.fields if field.choices]
    cards = [card for card in parts.cards if card.user_fields]
    field_lists = [Command(f"{card.user_fields}.list", {}) for card in cards]
    lists = [_list_of(choices) for _, _, choices in fields]
    answers = await client.read([*lists, *field_lists])
    choices_of: dict[str, dict[str, Mapping[str, Any]]] = {}
    for (part, field, choices), answer in zip(fields, answers, strict=False):
        if choices is PRESETS:
            sql = f"select distinct requisite_preset, requisite_name from {part.mart} order by 1"
            values: Mapping[str, Any] = _presets(rows_of(answer), connection.execute(sql).fetchall())
        else:
            candidates = dict(connection.execute(f"select status, stages from {choices.mart} order by 1").fetchall())
            values = _stages(rows_of(answer), candidates, part.entity, settings.stages_of(part.entity))
        choices_of.setdefault(part.entity, {})[field.name] = values
    await _create_fields(client, cards, field_lists, answers[len(lists) :])
    return Reference(choices_of)


def _list_of(choices: Choices) -> Command:
    if choices is PRESETS:
        select = ["ID", "XML_ID", "NAME", "ACTIVE"]
        return Command(f"{choices.name}.list", {"order": {"ID": "ASC"}, "select": select})
    return Command("crm.status.list", {"filter": {"ENTITY_ID": choices.name}, "order": {"SORT": "ASC"}})


def _presets(rows: list[dict[str, Any]], kinds: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The portal's own presets for our kinds (mark, name), by the mark that it gives them, else by their name; ids
    differ from portal to portal."""
    presets: dict[str, int] = {}
    for kind, name in kinds:
        marked = [row for row in rows if str(row.get("XML_ID") or "").endswith(f"_RU_{kind}#")]
        named = [row for row in rows if str(row.get("NAME")) == name]
        if not marked and not named:
            raise OperatorError(
                f"the portal has no requisite preset «{name}»", hint="add it in CRM settings, Company details templates"
            )
        presets[kind] = int((marked or named)[0]["ID"])
    return presets


def _stages(
    rows: list[dict[str, Any]], candidates: Mapping[str, Sequence[str]], entity: str, chosen: Mapping[str, str]
) -> dict[str, str]:
    """A stage that the portal has for each status: the chosen one, the best candidate, else the portal's first."""
    there = [str(row["STATUS_ID"]) for row in rows]
    stages = {}
    for status, preferred in candidates.items():
        if status in chosen and chosen[status] not in there:
            raise SettingsError(
                f"SVOD_{entity.upper()}_STAGES: the portal has no {entity} stage {chosen[status]}",
                hint=known_names_hint(chosen[status], there),
            )
        usable = [chosen[status]] if status in chosen else [stage for stage in preferred if stage in there]
        stages[status] = usable[0] if usable else there[0]
    return stages


async def _create_fields(
    client: Client, cards: Sequence[Card], lists: Sequence[Command], answers: Sequence[Any]
) -> None:
    for _ in range(_ATTEMPTS):
        missing = [
            _create(card, field)
            for card, answer in zip(cards, answers, strict=True)
            for field in card.fields
            if field.custom_type and field.name not in {str(row.get("FIELD_NAME")) for row in rows_of(answer)}
        ]
        if not missing:
            return
        for outcome in await client.send(missing):
            if outcome.error is not None:
                is_final = outcome.error.reaction is Reaction.STOP
                raise outcome.error.stop() if is_final else _not_created(outcome.error)
        # Read again: an answer may have been lost before or after its field was created.
        answers = await client.read(lists)
    raise _not_created(PortalError("", "they are not in its lists"))


def _create(card: Card, field: Field) -> Command:
    fields = {
        "FIELD_NAME": field.name.removeprefix("UF_CRM_"),
        "USER_TYPE_ID": field.custom_type,
        "XML_ID": field.name,
        "EDIT_FORM_LABEL": {"ru": field.label},
        "LIST_COLUMN_LABEL": {"ru": field.label},
        "SHOW_FILTER": "Y",
    }
    return Command(f"{card.user_fields}.add", {"fields": fields})


def _not_created(error: PortalError) -> OperatorError:
    return OperatorError(
        f"the portal did not create the custom fields: {error.code} {error.description}",
        hint="the webhook's user must be an administrator of CRM the first time",
    )
