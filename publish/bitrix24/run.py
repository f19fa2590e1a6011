"""What one push holds and passes on, and what all its lanes do alike: send, settle, try again, wait for each other.

The one place where an outcome becomes lines of the ledger is `settle`.
"""

import asyncio
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import duckdb

from ingest.bitrix24.client import Client, Command, Outcome
from ingest.bitrix24.errors import PortalError, PortalUnavailable, Reaction
from ingest.bitrix24.pacing import BATCH
from publish.bitrix24.kinds import Catalogue, Translations
from publish.bitrix24.mark import TRIVIAL
from publish.bitrix24.reference import Reference
from publish.entries import Conflict, Entry, Refusal
from publish.ledger import Ledger
from publish.parts import Key, Part
from publish.settings import Settings

END = "\U0010ffff"  # above every key
UNLISTED = ("NOT_FOUND", "the portal does not list it: deleted, or not to be read by the webhook's user")
_ATTEMPTS = 6


@dataclass(slots=True)
class Result:
    """What a push did: parts created and updated by kind, cards adopted, parts refused, requests sent; and what the
    ledger lists after it: conflicts, dead letters (`dead_letters_now`: new or due ones), duplicates, deleted parts.
    `notes` tell what was found out about the portal; `lost` is how many lines left the ledger, for the portal was put
    back to an older copy."""

    created: dict[str, int] = dataclasses.field(default_factory=dict)
    updated: dict[str, int] = dataclasses.field(default_factory=dict)
    adopted: int = 0
    refused: int = 0
    requests: int = 0
    conflicts: int = 0
    dead_letters: int = 0
    dead_letters_now: int = 0
    duplicates: int = 0
    deletions: int = 0
    lost: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)


class Progress(Protocol):
    """Who is told how far a push is."""

    def expect(self, entity: str, number: int) -> None: ...
    def settled(self, entity: str, number: int) -> None: ...
    def note(self, text: str) -> None: ...


class Silent:
    """Nobody."""

    def expect(self, entity: str, number: int) -> None:
        pass

    def settled(self, entity: str, number: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class Lanes:
    """How far the creates of each entity have got: the key up to which everything is settled."""

    def __init__(self) -> None:
        self._reached: dict[str, str] = defaultdict(str)
        self._moved = asyncio.Condition()

    def reached(self, entity: str) -> str:
        return self._reached[entity]

    async def advance(self, entity: str, key: str) -> None:
        async with self._moved:
            self._reached[entity] = key
            self._moved.notify_all()

    async def wait_beyond(self, entity: str, key: str) -> None:
        """Wait until the lane of an entity has passed a key."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._reached[entity] != key)

    async def wait_for_end(self, entity: str) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._reached[entity] == END)


@dataclass(frozen=True, slots=True)
class Run:
    """One push of one plan to one portal. `blocked` are records by entity that are not to be created: they could be
    several cards of the portal. `deleted` are those whose cards somebody deleted there, `held` fields of published
    parts that are not to be sent now, `emptied` those of them that go out empty meanwhile; `moving` are requisites
    whose INN waits for our own other cards to let go of it, with the records of those; `restored_at` is the push from
    which on the portal, put back from an older copy, has lost what was sent to it."""

    client: Client
    ledger: Ledger
    settings: Settings
    parts: Catalogue
    progress: Progress
    result: Result = dataclasses.field(default_factory=Result)
    lanes: Lanes = dataclasses.field(default_factory=Lanes)
    reference: Reference = dataclasses.field(default_factory=Reference)
    blocked: Mapping[str, set[str]] = dataclasses.field(default_factory=dict)
    deleted: Mapping[str, set[str]] = dataclasses.field(default_factory=dict)
    held: Mapping[Key, frozenset[str]] = dataclasses.field(default_factory=dict)
    emptied: Mapping[Key, frozenset[str]] = dataclasses.field(default_factory=dict)
    moving: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    restored_at: int | None = None

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        return self.ledger.connection

    def held_fields(self, key: Key) -> frozenset[str]:
        """Fields of a published part that are not to be sent now."""
        return self.held.get(key, frozenset())

    def note(self, notes: Iterable[str]) -> None:
        """Tell the operator what was found out, a line each, also where the push ends in an error after that."""
        for text in notes:
            self.result.notes.append(text)
            self.progress.note(text)

    def ids_referred_to(self, part: Part, records: Sequence[Mapping[str, Any]]) -> Translations:
        """Portal ids of the cards that these records of a part refer to, by field and our key; of a card that somebody
        deleted there is none."""
        ids = {}
        for field in part.references:
            keys = {record[field.name] for record in records if record.get(field.name)}
            ids[field.name] = self.ledger.ids(field.refers_to, sorted(keys - self.deleted.get(field.refers_to, set())))
        return ids

    def is_deleted(self, entity: str, origin_id: str) -> bool:
        """Whether somebody deleted this record's card in the portal."""
        return origin_id in self.deleted.get(entity, ())


@dataclass(frozen=True, slots=True)
class Lines:
    """What one answer writes into the ledger."""

    entries: Sequence[Entry] = ()
    refused: Sequence[Refusal] = ()
    gone: Sequence[Key] = ()
    conflicts: Sequence[Conflict] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A part that was sent, and its lines for the result of a command that was done, and for its refusal (a dead letter
    unless told otherwise)."""

    key: Key
    wanted: str
    done: Callable[[Any], Lines]
    refused: Callable[[PortalError], Lines] | None = None


class Sendable(Protocol):
    """What a lane sends: it has a key, and what is wanted of it as JSON text."""

    @property
    def key(self) -> Key: ...
    @property
    def wanted(self) -> str: ...


T = TypeVar("T", bound=Sendable)


def settle(
    run: Run,
    answers: Iterable[tuple[Attempt, Outcome]],
    count_as: Literal["created", "updated"] | None = None,
    *,
    absent: Sequence[Key] = (),
) -> set[Key]:
    """Write what the answers of one request say into the ledger, in one transaction; keys of unknown outcome.

    `absent` are further creates that are known not to be executed. Raises PortalRefused for an error that concerns
    everything, after the rest is settled; so does what the webhook's user may not do to any card, as it seems.
    """
    answers = list(answers)
    closed = _closed_to_us(run, answers, count_as)
    lines: list[Lines] = []
    unknown: set[Key] = set()
    not_executed = list(absent)
    stop: PortalError | None = None
    for attempt, outcome in answers:
        error = outcome.error
        if outcome.is_done:
            lines.append(attempt.done(outcome.result))
        elif error is None or error.reaction is Reaction.UNKNOWN:
            unknown.add(attempt.key)
        elif outcome.is_refused and attempt.key.entity not in closed:
            lines.append(attempt.refused(error) if attempt.refused else dead_letter(attempt, error))
        else:
            not_executed.append(attempt.key)
            stop = error
    record(run, lines, count_as, absent=not_executed)
    if stop is not None:
        raise stop.stop(run.client.variable)
    return unknown


def _closed_to_us(
    run: Run, answers: Iterable[tuple[Attempt, Outcome]], count_as: Literal["created", "updated"] | None
) -> set[str]:
    """Kinds that the webhook's user may not write at all, and not just some cards of them.

    A new card is nobody's yet: the right to create is of the kind. What belongs to a card has that card's rights, so
    it takes a whole request of denials to tell the one from the other.
    """
    cards = {card.entity for card in run.parts.cards}
    answered: dict[str, list[Outcome]] = defaultdict(list)
    for attempt, outcome in answers:
        answered[attempt.key.entity].append(outcome)
    return {
        entity
        for entity, outcomes in answered.items()
        if all(outcome.is_denied for outcome in outcomes)
        and (len(outcomes) >= BATCH or (count_as == "created" and entity in cards))
    }


def record(
    run: Run,
    lines: Iterable[Lines],
    count_as: Literal["created", "updated"] | None = None,
    *,
    absent: Sequence[Key] = (),
) -> None:
    """Write lines into the ledger, in one transaction, and count them."""
    lines = list(lines)
    entries = [entry for answer in lines for entry in answer.entries]
    refused = [refusal for answer in lines for refusal in answer.refused]
    gone = [key for answer in lines for key in answer.gone]
    conflicts = [conflict for answer in lines for conflict in answer.conflicts]
    run.ledger.settle(entries, refused, absent=absent, gone=gone, conflicts=conflicts)
    run.result.refused += len(refused)
    if count_as:
        counts: dict[str, int] = getattr(run.result, count_as)
        for entity, number in Counter(key.entity for key in [*(entry.key for entry in entries), *gone]).items():
            counts[entity] = counts.get(entity, 0) + number
            run.progress.settled(entity, number)


def dead_letter(part: Sendable, error: PortalError) -> Lines:
    """What a refusal writes into the ledger, unless its part says otherwise."""
    return Lines(refused=[refusal(part, error.name, error.description)])


def refusal(part: Sendable, error: str, description: str) -> Refusal:
    """The dead letter of a part that the portal refused: the error's code and text."""
    return Refusal(part.key.entity, part.key.origin_id, part.wanted, error, description)


async def until_executed(run: Run, todo: Sequence[T], send: Callable[[Sequence[T]], Awaitable[Sequence[T]]]) -> None:
    """Send again what turned out not to be executed; records that the portal fails on every time are dead-lettered.

    `send` answers what is to be sent again. Where it failed on all of them, the fault is theirs only if it answers
    something else before and after it fails on them once more. Raises PortalUnavailable where it does not.
    """
    first, attempts = len(todo), _ATTEMPTS
    for _ in range(_ATTEMPTS):
        if not todo:
            return
        todo = await send(todo)
    if len(todo) == first:
        await _answers(run)
        todo, attempts = await send(todo), _ATTEMPTS + 1
        await _answers(run)
    if todo:
        problem = f"the portal failed on it {attempts} times"
        record(run, [Lines(refused=[refusal(part, "", problem) for part in todo])])


async def _answers(run: Run) -> None:
    """Return where the portal answers a trivial command. Raises PortalUnavailable where it does not."""
    (outcome,) = await run.client.send([TRIVIAL])
    if not outcome.is_done:
        raise PortalUnavailable(
            f"{run.client.host} keeps losing our requests", hint="what was published stays; run it again later"
        )


async def send_repeatable(run: Run, commands: Sequence[Command]) -> list[Outcome]:
    """Outcomes of commands that do no harm twice. Raises PortalRefused for an error that concerns everything."""
    outcomes = await run.client.send(commands)
    for outcome in outcomes:
        if outcome.error is not None and outcome.error.reaction is Reaction.STOP:
            raise outcome.error.stop(run.client.variable)
    return outcomes
