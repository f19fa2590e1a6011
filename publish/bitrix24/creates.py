"""Creates: cards by import, twenty a command; then what hangs on them, fifty a request.

Every create is written down as an intent before it is sent and settled with its answer.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ingest.bitrix24.answers import map_of, whole
from ingest.bitrix24.client import LOST, Outcome
from ingest.bitrix24.errors import PortalError, Reaction
from ingest.bitrix24.pacing import BATCH
from publish import plan
from publish.bitrix24 import links, pipelines, responsible
from publish.bitrix24.kinds import Card, Detail, Translations, origin
from publish.bitrix24.recovery import LookUp, created, recover
from publish.bitrix24.run import END, Attempt, Lines, Run, settle, until_executed
from publish.entries import Entry, Intent
from publish.parts import Field, Key, decoded, encoded
from publish.plan import Change

_PAGE = 1000  # details read from the plan at a time


# Cards ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewCard:
    """A card to create: its fields for the portal, what to remember of it, and its lines for its id or its refusal (a
    dead letter unless told otherwise)."""

    intent: Intent
    fields: dict[str, Any]
    done: Callable[[int], Lines]
    refused: Callable[[PortalError], Lines] | None = None

    @property
    def key(self) -> Key:
        return self.intent.key

    @property
    def wanted(self) -> str:
        return self.intent.wanted


async def create_cards(run: Run) -> None:
    """Create cards kind by kind: they share a method, and each kind refers to those before."""
    alone: set[Key] = set()
    for card in run.parts.cards:
        above, one_request = "", card.add_together * BATCH
        while changes := plan.page(run.connection, card.entity, "create", above, one_request):
            above = changes[-1].origin_id
            todo = _new_cards(run, card, changes)
            await until_executed(run, todo, partial(import_cards, run, card, alone))
            await run.lanes.advance(card.entity, above)
        await run.lanes.advance(card.entity, END)


def _new_cards(run: Run, card: Card, changes: Sequence[Change]) -> list[NewCard]:
    """Cards with references to cards of the ledger; one that must have a reference or a link and has none waits."""
    link = run.parts.travelling(card.entity)
    origin_ids = [change.origin_id for change in changes]
    linked = links.companions(run, link, origin_ids) if link else {}
    responsible_of = responsible.of_new_cards(run.connection, run.settings, card, origin_ids)
    wanted = [decoded(change.wanted) for change in changes]
    translations = {**run.reference.of(card), **run.ids_referred_to(card, wanted)}
    cards = []
    for change, values in zip(changes, wanted, strict=True):
        fields = {field.name: _for_import(field, values.get(field.name), translations) for field in card.fields}
        is_waiting = any(field.is_required and fields[field.name] is None for field in card.references)
        others = linked.get(change.origin_id, [])
        if is_waiting or (link and not others):
            continue
        if link:
            fields[link.travels_as] = [other.bitrix_id for other in others]
        # A reference that cannot be told yet is left out of the ledger, so that the next run sees that it is missing.
        # A card that somebody deleted will not come.
        untold = {
            field.name
            for field in card.references
            if values.get(field.name)
            and fields[field.name] is None
            and not run.is_deleted(field.refers_to, values[field.name])
        }
        known = {name: value for name, value in values.items() if name not in untold}
        text = encoded(known) if untold else change.wanted
        intent = Intent(*change.key, text, links=tuple(other.origin_id for other in others))
        told = {name: value for name, value in fields.items() if value is not None}
        told |= origin(change.origin_id) | responsible_of.get(change.origin_id, {})
        told |= pipelines.of_new_cards(run.settings, card)
        cards.append(NewCard(intent, told, partial(_created, run, intent)))
    return cards


def _for_import(field: Field, value: Any, translations: Translations) -> Any:
    """A value as imports take it (page `universal/import/crm-item-import`); None for what is not to be sent."""
    if value is None or value == []:
        return None
    if field.is_multiple:
        return [{"VALUE": entry, "VALUE_TYPE": "WORK"} for entry in value]
    return translations[field.name].get(value) if field.kind in ("choice", "reference") else value


def _created(run: Run, intent: Intent, bitrix_id: int) -> Lines:
    return Lines(created(run.parts, intent, bitrix_id))


async def import_cards(
    run: Run, card: Card, alone: set[Key], todo: Sequence[NewCard], look_up: LookUp | None = None
) -> list[NewCard]:
    """Create one page of cards with one request; those that have to be sent again. Keys in `alone` go in a command of
    their own: one bad record made the portal refuse their whole command, or fail on it."""
    chunks = [[new] for new in todo if new.key in alone]
    rest = [new for new in todo if new.key not in alone]
    chunks += [rest[at : at + card.add_together] for at in range(0, len(rest), card.add_together)]
    chunks, later = chunks[:BATCH], chunks[BATCH:]
    sent = [new for chunk in chunks for new in chunk]
    run.ledger.intend(new.intent for new in sent)
    outcomes = await run.client.send([card.to_import([new.fields for new in chunk]) for chunk in chunks])
    refused_together: list[NewCard] = []
    answers: list[tuple[NewCard, Outcome]] = []
    is_all_denied = all(outcome.is_denied for outcome in outcomes)
    for chunk, outcome in zip(chunks, outcomes, strict=True):
        if len(chunk) > 1 and outcome.is_refused and not is_all_denied:
            refused_together += chunk
        else:
            answers += zip(chunk, _elements_of(outcome, len(chunk)), strict=True)
    alone |= {new.key for new in refused_together}
    alone |= {new.key for new, outcome in answers if outcome.error is not None and not outcome.is_known}
    unknown = settle(
        run,
        [(Attempt(new.key, new.wanted, new.done, new.refused), outcome) for new, outcome in answers],
        "created",
        absent=[new.key for new in refused_together],
    )
    absent = await recover(run, [new.intent for new in sent if new.key in unknown], look_up) if unknown else set()
    again = [new for chunk in later for new in chunk] + refused_together
    return again + [new for new in sent if new.key in absent]


# Details --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewDetail:
    """A detail to add to an owner that the portal holds."""

    detail: Detail
    intent: Intent
    owner_id: int

    @property
    def key(self) -> Key:
        return self.intent.key

    @property
    def wanted(self) -> str:
        return self.intent.wanted


async def create_details(run: Run, details: Sequence[Detail]) -> None:
    """Create details of one owner, as far as the lane before has settled those owners, fifty at a time."""
    owner = details[0].owner
    above = {detail.entity: "" for detail in details}
    ready: deque[NewDetail] = deque()
    while True:
        reached = run.lanes.reached(owner)
        for detail in details:
            if len(ready) < BATCH and above[detail.entity] < reached:
                page = _new_details(run, detail, above[detail.entity], reached)
                above[detail.entity] = page[-1].key.origin_id if len(page) == _PAGE else reached
                ready += page
        is_last = all(key == END for key in above.values())
        if len(ready) >= BATCH or (ready and is_last):
            turn = [ready.popleft() for _ in range(min(BATCH, len(ready)))]
            await until_executed(run, turn, partial(_add, run))
            if len(details) == 1:  # what hangs on these may go on; nothing hangs on details that share a lane
                await run.lanes.advance(details[0].entity, turn[-1].key.origin_id)
        elif is_last:
            break
        elif run.lanes.reached(owner) == reached and all(key == reached for key in above.values()):
            await run.lanes.wait_beyond(owner, reached)
    if len(details) == 1:
        await run.lanes.advance(details[0].entity, END)


def _new_details(run: Run, detail: Detail, above: str, reached: str) -> list[NewDetail]:
    rows = run.connection.execute(
        f"""select plan.origin_id, plan.wanted, owner.bitrix_id
            from plan_{detail.entity} as plan
            inner join portal_ledger as owner on owner.entity = ? and owner.origin_id = plan.origin_id
            where plan.action = 'create' and plan.origin_id > ? and plan.origin_id <= ?
            order by plan.origin_id limit {_PAGE}""",
        [detail.owner, above, reached],
    ).fetchall()
    return [
        NewDetail(detail, Intent(detail.entity, origin_id, wanted, owner_id), owner_id)
        for origin_id, wanted, owner_id in rows
    ]


async def _add(run: Run, todo: Sequence[NewDetail]) -> list[NewDetail]:
    """Add details with one request; those that have to be sent again."""
    commands = [new.detail.to_add(new.owner_id, decoded(new.wanted), run.reference.of(new.detail)) for new in todo]
    run.ledger.intend(new.intent for new in todo)
    outcomes = [_with_id(new, outcome) for new, outcome in zip(todo, await run.client.send(commands), strict=True)]
    unknown = settle(run, zip(map(_detail_attempt, todo), outcomes, strict=True), "created")
    absent = await recover(run, [new.intent for new in todo if new.key in unknown]) if unknown else set()
    return [new for new in todo if new.key in absent]


def _with_id(new: NewDetail, outcome: Outcome) -> Outcome:
    """An outcome; lost where it is done and does not say under which id: it is looked up."""
    is_odd = outcome.is_done and new.detail.has_own_id and whole(outcome.result) is None
    return LOST if is_odd else outcome


def _detail_attempt(new: NewDetail) -> Attempt:
    def done(result: Any) -> Lines:
        bitrix_id = int(result) if new.detail.has_own_id else new.owner_id
        return Lines([Entry(*new.key, bitrix_id, new.wanted, new.wanted)])

    return Attempt(new.key, new.wanted, done)


def _elements_of(outcome: Outcome, number: int) -> list[Outcome]:
    """Outcomes of the elements of one import: an id or an error of its own (page `crm-item-batch-import`); where the
    command has no result, that of the command."""
    if not outcome.is_done:
        return [outcome] * number
    items = map_of(outcome.result).get("items")
    answers = {str(index): item for index, item in enumerate(items)} if isinstance(items, list) else map_of(items)
    return [_element(answers.get(str(index))) for index in range(number)]


def _element(answer: Any) -> Outcome:
    if not isinstance(answer, dict):
        return LOST
    if "item" in answer:
        bitrix_id = whole(map_of(answer["item"]).get("id"))
        return LOST if bitrix_id is None else Outcome(result=bitrix_id)
    error = PortalError(str(answer.get("error", "")), str(answer.get("error_description", "")))
    return Outcome(error=error, is_known=error.reaction is not Reaction.UNKNOWN)
