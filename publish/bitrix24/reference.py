"""What a push looks up or creates once in the portal: lists of values (presets, stages, currencies) and custom fields.

Everything that the portal lacks is said before anything is sent. Pages `requisites/presets/crm-requisite-preset-list`,
`status/crm-status-list`, `currency/crm-currency-list`, `companies/userfields/*`.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.bitrix24.answers import number_of, rows_of, text_of
from ingest.bitrix24.client import Client, Command
from ingest.bitrix24.errors import PortalError, Reaction
from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.variables import known_names_hint
from publish.bitrix24 import pipelines
from publish.bitrix24.kinds import Card, Catalogue, Translations
from publish.bitrix24.parts import CURRENCIES, PRESETS
from publish.held import Held
from publish.ledger import Ledger
from publish.parts import Choices, Field, Part
from publish.settings import Settings

_ATTEMPTS = 6
_CURRENCY_LIST = f"{CURRENCIES.name}.list"
_STATUS_LIST = "crm.status.list"


@dataclass(frozen=True, slots=True)
class Reference:
    """What the portal calls our values: entity -> field -> our value -> its value; `elsewhere`: the same by entity and
    pipeline, of cards in another one than new cards begin in; `before`: entity -> field -> our value -> all that it was
    called in this portal. `is_refilling`: a custom field was gone, so that the ledger counts its values as never sent
    and the plan has to be made anew."""

    choices: Mapping[str, Translations] = dataclasses.field(default_factory=dict)
    elsewhere: Mapping[tuple[str, int], Translations] = dataclasses.field(default_factory=dict)
    before: Mapping[str, Mapping[str, Mapping[str, Collection[str]]]] = dataclasses.field(default_factory=dict)
    is_refilling: bool = False

    def of(self, part: Part) -> Translations:
        return self.choices.get(part.entity, {})

    def of_card(self, part: Part, current: Mapping[str, Any]) -> Translations:
        """Those of a card that is there which differ, for it is in another pipeline."""
        return self.elsewhere.get((part.entity, pipelines.of_card(current)), {})


async def prepare(client: Client, ledger: Ledger, parts: Catalogue, settings: Settings) -> Reference:
    """Read the portal's lists and create the custom fields it lacks.

    Raises OperatorError when the portal lacks a preset, a stage or a currency that a mart needs, or creates no fields;
    SettingsError for a stage of the settings that it does not have, and for a field of ours that somebody made there
    with another type.
    """
    fields = [(part, field, field.choices) for part in parts for field in part.fields if field.choices]
    custom = [(card, field) for card in parts.cards for field in card.fields if field.custom_type]
    lists = [list_of(choices, settings.pipeline_of(part.entity)) for part, _, choices in fields]
    others = [(*of, number) for of in fields for number in _other_pipelines(ledger, *of, settings)]
    lists += [list_of(choices, number) for _, _, choices, number in others]
    custom_lists = [look_up(*of) for of in custom]
    # Currencies are told to those who may read CRM's settings; without them the portal judges each deal itself.
    looks = [*lists, *custom_lists]
    pipelines_there = pipelines.look_up(settings, parts.cards)
    answers = await client.read([*looks, *pipelines_there], optional=(_CURRENCY_LIST, pipelines.LIST))
    answers, known = answers[: len(looks)], pipelines.named(answers[len(looks) :])
    choices_of: dict[str, dict[str, Mapping[str, Any]]] = {}
    for (part, field, choices), answer in zip(fields, answers, strict=False):
        if choices is CURRENCIES:
            check_currencies(answer, used(ledger, part, field))
        else:
            values = translations(ledger, part, field, choices, answer, settings, known)
            choices_of.setdefault(part.entity, {})[field.name] = values
            if choices.mart:
                ledger.remember_choices(part.entity, field.name, values)
    elsewhere: dict[tuple[str, int], dict[str, Mapping[str, Any]]] = {}
    for (part, field, choices, number), answer in zip(others, answers[len(fields) : len(lists)], strict=True):
        chosen = {status: [stage] for status, stage in settings.stages_of(part.entity).items()}
        preferred = {
            status: [*chosen.get(status, ()), *stages] for status, stages in _candidates(ledger, choices).items()
        }
        elsewhere.setdefault((part.entity, number), {})[field.name] = pipelines.best_there(
            number, preferred, _stages_there(answer)
        )
    check_types(custom, answers[len(lists) :])
    is_refilling = await _create_fields(client, ledger, custom, answers[len(lists) :])
    return Reference(choices_of, elsewhere, {entity: ledger.choices(entity) for entity in choices_of}, is_refilling)


def _other_pipelines(ledger: Held, part: Part, field: Field, choices: Choices, settings: Settings) -> list[int]:
    """Pipelines that cards of ours may be in, other than the one that new ones begin in: those of stages that were ever
    ours, and the main one."""
    if not choices.mart:
        return []
    named = (stage for stages in ledger.choices(part.entity).get(field.name, {}).values() for stage in stages)
    return sorted({pipelines.MAIN, *pipelines.those_of(named)} - {settings.pipeline_of(part.entity)})


def list_of(choices: Choices, pipeline: int = pipelines.MAIN) -> Command:
    if choices is PRESETS:
        select = ["ID", "XML_ID", "NAME", "ACTIVE"]
        return Command(f"{choices.name}.list", {"order": {"ID": "ASC"}, "select": select})
    if choices is CURRENCIES:
        return Command(_CURRENCY_LIST, {})
    book = pipelines.book(choices.name, pipeline)
    return Command(_STATUS_LIST, {"filter": {"ENTITY_ID": book}, "order": {"SORT": "ASC"}})


def translations(
    ledger: Held,
    part: Part,
    field: Field,
    choices: Choices,
    answer: Any,
    settings: Settings,
    pipelines_there: Sequence[str] = (),
) -> Mapping[str, Any]:
    """Our value -> the portal's, for one field of a part."""
    if choices is PRESETS:
        sql = f"select distinct requisite_preset, requisite_name from {part.mart} order by 1"
        return _presets(rows_of(f"{choices.name}.list", answer), ledger.connection.execute(sql).fetchall())
    values, there = used(ledger, part, field), _stages_there(answer)
    check_pipeline(there, part.entity, settings, pipelines_there)
    if values and not there:
        raise OperatorError(
            f"the portal names no {part.entity} stages ({choices.name})",
            hint="open the pipeline in CRM, and give the webhook's user the right to read it",
        )
    return _stages(there, _candidates(ledger, choices), values, part.entity, settings)


def _candidates(ledger: Held, choices: Choices) -> dict[str, list[str]]:
    return dict(ledger.connection.execute(f"select status, stages from {choices.mart} order by 1").fetchall())


def _stages_there(answer: Any) -> list[str]:
    return [text_of(_STATUS_LIST, row, "STATUS_ID") for row in rows_of(_STATUS_LIST, answer)]


def check_pipeline(there: Sequence[str], entity: str, settings: Settings, known: Sequence[str] = ()) -> None:
    """Raises SettingsError for a pipeline of the settings that has no stages: the portal has none of that number, or
    its user may not see it; `known` are those that it shows."""
    pipeline = settings.pipeline_of(entity)
    if pipeline != pipelines.MAIN and not there:
        raise SettingsError(
            f"SVOD_{entity.upper()}_PIPELINE: the portal shows no {entity} pipeline {pipeline}",
            hint=(f"there are {', '.join(known)}; " if known else "")
            + f"the number is in the address of its cards, crm/{entity}/kanban/category/NUMBER/; the webhook's user "
            "has to have the right to read it",
        )


def used(ledger: Held, part: Part, field: Field) -> list[str]:
    """Our values of a field that the part's mart has."""
    sql = f"select distinct {field.column} from {part.mart} where {field.column} is not null order by 1"
    return [value for (value,) in ledger.connection.execute(sql).fetchall()]


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
        presets[kind] = number_of(f"{PRESETS.name}.list", (marked or named)[0], "ID")
    return presets


def check_currencies(answer: Any, used: Sequence[str]) -> None:
    """Raises OperatorError for a currency that the portal lacks; `answer` is None where it does not tell them."""
    if answer is None:
        return
    there = [text_of(_CURRENCY_LIST, row, "CURRENCY") for row in rows_of(_CURRENCY_LIST, answer)]
    missing = [code for code in used if code not in there]
    if missing:
        raise OperatorError(
            f"the portal has no currency {', '.join(missing)}, and there are deals in it",
            hint=f"add it in CRM settings, Currencies; there are {', '.join(there) or 'none'}",
        )


def _stages(
    there: Sequence[str],
    candidates: Mapping[str, Sequence[str]],
    used: Collection[str],
    entity: str,
    settings: Settings,
) -> dict[str, str]:
    """A stage that the portal has for each status: the chosen one, else the best candidate. Raises SettingsError for a
    chosen one that it has not, OperatorError for a status of the mart that nothing stands for."""
    pipeline, prefix = settings.pipeline_of(entity), f"SVOD_{entity.upper()}"
    chosen, departed = settings.stages_of(entity), settings.departed_stages_of(entity)
    best = pipelines.best_there(pipeline, candidates, there)
    stages = {}
    for status, preferred in candidates.items():
        if status in chosen:
            stages[status] = _there(pipelines.stage_in(pipeline, chosen[status]), there, f"{prefix}_STAGES", entity)
        elif status in best:
            stages[status] = best[status]
        elif status in used:
            raise OperatorError(
                f"the portal has no {entity} stage for status {status} ({', '.join(preferred)})",
                hint=f"name one, {prefix}_STAGES={status}=…; there are {', '.join(there)}",
            )
    return stages | {
        state: _there(pipelines.stage_in(pipeline, stage), there, f"{prefix}_DEPARTED_STAGE", entity)
        for state, stage in departed.items()
    }


def check_chosen(there: Sequence[str], entity: str, settings: Settings, known: Sequence[str] = ()) -> None:
    """Raises SettingsError for a stage of the settings that the portal has not."""
    pipeline = settings.pipeline_of(entity)
    check_pipeline(there, entity, settings, known)
    for stage in settings.stages_of(entity).values():
        _there(pipelines.stage_in(pipeline, stage), there, f"SVOD_{entity.upper()}_STAGES", entity)
    for stage in settings.departed_stages_of(entity).values():
        _there(pipelines.stage_in(pipeline, stage), there, f"SVOD_{entity.upper()}_DEPARTED_STAGE", entity)


def _there(stage: str, there: Sequence[str], setting: str, entity: str) -> str:
    if stage not in there:
        raise SettingsError(f"{setting}: the portal has no {entity} stage {stage}", hint=known_names_hint(stage, there))
    return stage


def look_up(card: Card, field: Field) -> Command:
    """The list of a card's custom fields, narrowed to one: a portal may have hundreds, and shows fifty at a time."""
    return Command(f"{card.user_fields}.list", {"filter": {"FIELD_NAME": field.name}})


def check_types(custom: Sequence[tuple[Card, Field]], answers: Sequence[Any]) -> None:
    """Raises SettingsError for fields that hold something else than what we send: every card would be refused."""
    wrong = []
    for (card, field), answer in zip(custom, answers, strict=True):
        for row in rows_of(f"{card.user_fields}.list", answer):
            is_several = " of several values" if row.get("MULTIPLE") == "Y" else ""
            there = f"{row.get('USER_TYPE_ID', field.custom_type)}{is_several}"
            if row.get("FIELD_NAME") == field.name and there != field.custom_type:
                wrong.append(f"{card.entity} {field.name} is {there} and has to be {field.custom_type}")
    if wrong:
        raise SettingsError(
            f"the portal has fields of our names with other types: {'; '.join(wrong)}",
            hint="let an administrator delete them in CRM settings, Custom fields, if nobody needs what is in them: "
            "the next push makes them anew",
        )


async def _create_fields(
    client: Client, ledger: Ledger, custom: Sequence[tuple[Card, Field]], answers: Sequence[Any]
) -> bool:
    """Create the custom fields that are missing; whether values of one were there before, so that it was deleted.

    They are forgotten before the field is made: who is killed in between finds it missing again.
    """
    is_refilling = False
    for _ in range(_ATTEMPTS):
        gone = [
            (card, field)
            for (card, field), answer in zip(custom, answers, strict=True)
            if field.name not in {str(row.get("FIELD_NAME")) for row in rows_of(f"{card.user_fields}.list", answer)}
        ]
        if not gone:
            return is_refilling
        for entity in dict.fromkeys(card.entity for card, _ in gone):
            names = [field.name for card, field in gone if card.entity == entity]
            is_refilling |= ledger.forget_fields(entity, names) > 0
        missing = [_create(card, field) for card, field in gone]
        for outcome in await client.send(missing):
            if outcome.error is not None:
                is_final = outcome.error.reaction in (Reaction.STOP, Reaction.RIGHTS)
                raise outcome.error.stop(client.variable) if is_final else _not_created(outcome.error)
        # Read again: an answer may have been lost before or after its field was created.
        answers = await client.read([look_up(*of) for of in custom])
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
