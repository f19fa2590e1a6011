"""`publish check`: what a push will find in the portal, looked up in a few requests that only read.

Rights (pages `common/system/*`: scope, profile, method.get), the custom fields, presets, stages and currencies that the
marts need; of a warehouse without marts those that the settings name. Webhooks may not ask for the portal's plan; one
that is too small shows by the method that it lacks.
"""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Any

import duckdb

from ingest.bitrix24.answers import rows_of, text_of
from ingest.bitrix24.client import Client, Command
from ingest.bitrix24.errors import PortalError, Reaction
from ingest.bitrix24.pacing import Pace
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.findings import Finding
from publish.bitrix24 import inn_field, pipelines, reference, responsible
from publish.bitrix24.parts import COMPANY, CURRENCIES, DEAL, PARTS
from publish.bitrix24.todo_texts import ADD
from publish.held import Held
from publish.parts import Choices, Field, Part
from publish.settings import Settings

PATIENCE_S = 20.0
_WHAT = "portal"
_SCOPE, _PROFILE, _METHOD = "scope", "profile", "method.get"
_NO_MARTS = "the models have not been built: the first push looks for what they need"


def findings(settings: Settings, held: Held | None) -> Iterator[Finding]:
    """What came of it; `held` is None where there is no warehouse yet."""
    if settings.bitrix24_webhook is None:
        told = "SVOD_BITRIX24_WEBHOOK is not set: a run does everything but publishing, and ends with 2"
        yield Finding(_WHAT, "wrong", told, "set it; `make plan` works without it", 2)
        return
    try:
        yield from asyncio.run(_inspect(settings, held))
    except OperatorError as error:
        yield Finding.of(_WHAT, error)


async def _inspect(settings: Settings, held: Held | None) -> list[Finding]:
    tried: list[str] = []
    pace = Pace(settings.bitrix24_rate, settings.bitrix24_burst, 0, on_pause=tried.append)
    fields = [(part, field, field.choices) for part in PARTS for field in part.fields if field.choices]
    custom = [(card, field) for card in PARTS.cards for field in card.fields if field.custom_type]
    commands = [
        Command(_SCOPE, {}),
        Command(_PROFILE, {}),
        Command(_METHOD, {"name": COMPANY.add}),
        *(reference.list_of(choices, settings.pipeline_of(part.entity)) for part, _, choices in fields),
        *(reference.look_up(card, field) for card, field in custom),
    ]
    asked, users = len(commands), responsible.look_up(settings)
    of_settings = {
        "users": users,
        "INN field": inn_field.look_up(settings.inn_field),
        "pipelines": pipelines.look_up(settings, PARTS.cards),
        "to-dos": [Command(_METHOD, {"name": ADD})] if settings.todos else [],
    }
    commands += chain.from_iterable(of_settings.values())
    try:
        async with Client(settings.webhook(), pace) as client, asyncio.timeout(PATIENCE_S):
            outcomes = await client.read_outcomes(commands, optional={command.method for command in commands})
    except TimeoutError:
        told = tried[-1].partition(": trying again")[0] if tried else f"{settings.portal} does not answer"
        raise OperatorError(told, hint="is the portal up, and SVOD_BITRIX24_WEBHOOK right?") from None
    results = [outcome.result for outcome in outcomes]
    scopes, profile, method = results[:3]
    errors = [outcome.error for outcome in outcomes[3:asked] if outcome.error is not None]
    found = [_rights(settings, scopes, profile, method, errors)]
    lists, made = results[3 : 3 + len(fields)], results[3 + len(fields) : asked]
    if None in made or any(error.reaction is Reaction.STOP for error in errors):
        return found  # what may not be read cannot be looked at
    is_admin = bool(isinstance(profile, dict) and profile.get("ADMIN"))
    found += _said("fields", lambda: _fields(custom, made, is_admin))
    rest = iter(results[asked:])
    answered = {what: list(islice(rest, len(looks))) for what, looks in of_settings.items()}
    if users:
        found += _said("responsible", lambda: responsible.check_users(settings, answered["users"]))
    if settings.inn_field:
        found += _said("INN field", lambda: _inn_field(settings, answered["INN field"]))
    found += [_todos(settings, answer) for answer in answered["to-dos"]]
    for (part, field, choices), answer in zip(fields, lists, strict=True):
        look = partial(_values, settings, held, part, field, choices, answer, pipelines.named(answered["pipelines"]))
        found += _said(f"{part.entity} {field.name}", look)
    return found


def _said(what: str, look: Callable[[], str]) -> list[Finding]:
    try:
        return [Finding(what, "ok", look())]
    except OperatorError as error:
        return [Finding.of(what, error)]


def _rights(settings: Settings, scopes: Any, profile: Any, method: Any, errors: list[PortalError]) -> Finding:
    scopes = scopes if isinstance(scopes, list) else []
    if scopes and "crm" not in scopes:
        told = f"{settings.portal}: the webhook has the rights {', '.join(map(str, scopes))}"
        return Finding(_WHAT, "wrong", told, "give it the right crm", 1)
    for error in errors:
        if error.reaction in (Reaction.STOP, Reaction.RIGHTS):
            return Finding.of(_WHAT, error.stop())
    if not _has(method):
        told = f"{settings.portal} has no {COMPANY.add}"
        return Finding(_WHAT, "wrong", told, "is the CRM module up to date, and does its plan have REST?", 1)
    is_admin = isinstance(profile, dict) and profile.get("ADMIN")
    who = "an administrator" if is_admin else "no administrator"
    note = "" if is_admin else "the portal cannot be marked: two warehouses are not told apart, see docs/publisher.md"
    pace = f"{settings.bitrix24_rate:g} requests/s" if settings.bitrix24_rate else "no request limit"
    return Finding(_WHAT, "ok", f"{settings.portal}: answers, the webhook's user is {who}; {pace} as set", note)


def _has(method: Any) -> bool:
    """Whether the portal has a method, by what it said of it."""
    return not isinstance(method, dict) or bool(method.get("isExisting", True) and method.get("isAvailable", True))


def _todos(settings: Settings, method: Any) -> Finding:
    if _has(method):
        return Finding("to-dos", "ok", f"{', '.join(settings.todos)}: at most {settings.todos_a_day:,} a day")
    return Finding(
        "to-dos", "wrong", f"{settings.portal} has no {ADD}", "update its CRM module, or unset SVOD_TODOS", 1
    )


def _inn_field(settings: Settings, answers: list[Any]) -> str:
    return f"{settings.inn_field}, of {'texts' if inn_field.is_of_texts(settings.inn_field, answers) else 'numbers'}"


def _fields(custom: list[tuple[Any, Field]], made: list[Any], is_admin: bool) -> str:
    reference.check_types(custom, made)
    missing = [
        f"{card.entity} {field.name}"
        for (card, field), answer in zip(custom, made, strict=True)
        if field.name not in {str(row.get("FIELD_NAME")) for row in rows_of(f"{card.user_fields}.list", answer)}
    ]
    if missing and not is_admin:
        raise OperatorError(
            f"{len(missing)} custom fields are missing: {', '.join(missing)}",
            hint="the webhook's user must be an administrator of CRM for the first push, which makes them",
        )
    return f"the first push makes {len(missing)} of {len(custom)}" if missing else f"all {len(custom)} are there"


def _values(
    settings: Settings,
    held: Held | None,
    part: Part,
    field: Field,
    choices: Choices,
    answer: Any,
    pipelines_there: list[str],
) -> str:
    """Whether the portal has what stands for the values of a field that has a list."""
    try:
        if choices is CURRENCIES:
            used = reference.used(held, part, field) if held else ["RUB"]
            reference.check_currencies(answer, used)
            return f"{', '.join(used) or 'none used'} there" if answer is not None else "not told to this user"
        if held is None:
            raise duckdb.CatalogException
        values = reference.translations(held, part, field, choices, answer, settings, pipelines_there)
        return ", ".join(f"{ours} is {theirs}" for ours, theirs in values.items()) or "none used"
    except duckdb.CatalogException:
        if part is DEAL and choices is not CURRENCIES:
            there = [text_of("crm.status.list", row, "STATUS_ID") for row in rows_of("crm.status.list", answer)]
            reference.check_chosen(there, part.entity, settings, pipelines_there)
        return _NO_MARTS
