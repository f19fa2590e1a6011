"""What the sending of a move shares: the run, references replaced by ids, commands that do no harm twice."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol, TypeVar

from ingest.bitrix24.client import Command, Outcome
from ingest.bitrix24.errors import PortalError
from ingest.bitrix24.pacing import BATCH
from publish.bitrix24.kinds import Card
from publish.bitrix24.run import END, Attempt, Lines, Run, Sendable, record, settle, until_executed
from publish.entries import Entry, Intent, Refusal
from publish.parts import Key, decoded, encoded
from publish.transfer.files import Files, HasFields, files_in
from publish.transfer.kinds import UNDATED
from publish.transfer.ledger import TransferLedger, changed_fields, digest_of, made_from
from publish.transfer.records import MISSING, Record, Reference, Work, ids_of, references_in, replaced


class Weighty(Sendable, HasFields, Protocol):
    """What is sent with fields that may name files."""


T = TypeVar("T", bound=Weighty)
# Kinds that others point to: how far each has been made is told while it is.
LANES = {"company", "contact", "lead", "deal", "requisite", "bank_detail", "activity"}


@dataclass(frozen=True, slots=True)
class Move:
    """One push of a move to one box. `looks_first`: something of ours may be there that the ledger does not know, so
    what hangs on cards is looked up before it is made."""

    run: Run
    ledger: TransferLedger
    work: Work
    files: Files
    looks_first: bool = False

    def mark(self, source_id: str) -> str:
        """Where a record came from, as the box keeps it."""
        return f"{self.ledger.cloud}:{source_id}"

    def card(self, entity: str) -> Card:
        """The kind of card of this name."""
        return next(card for card in self.run.parts.cards if card.entity == entity)

    def made(self, page: Sequence[Record]) -> Mapping[str, int | None]:
        """Ids of those records of a kind that the move has made."""
        return self.ledger.ids(page[0].entity, [one.source_id for one in page])

    def resolved(self, page: Sequence[Record]) -> list[Record]:
        """Records with the box's ids in the place of references. One that points to a record that is not there becomes
        a dead letter, which every push looks at again."""
        ready, missing = self._resolved(page)
        self._refuse(missing)
        return ready

    async def ready(self, page: Sequence[Record], waiting: str, *, refuses: bool = True) -> AsyncIterator[list[Record]]:
        """The same, a request's worth at a time, as what they point to is made by lanes other than the one that is
        `waiting`. One that waits in vain is refused, or left out."""
        lanes, left = self.run.lanes, list(page)
        while left:
            ready, missing = self._resolved(left)
            entities = {reference.entity for _, references in missing for reference in references}
            going_on = [one for one in sorted(entities & LANES - {waiting}) if lanes.reached(one) != END]
            full = len(ready) if not going_on else len(ready) // BATCH * BATCH
            if going_on:
                kept = {one.key for one in ready[full:]} | {one.key for one, _ in missing}
                left = [one for one in left if one.key in kept]
            else:
                left = []
                if refuses:
                    self._refuse(missing)
            reached = lanes.reached(going_on[0]) if going_on else END
            for at in range(0, full, BATCH):
                yield ready[at : at + BATCH]
            if going_on:
                await lanes.wait_beyond(going_on[0], reached)

    def _resolved(self, page: Sequence[Record]) -> tuple[list[Record], list[tuple[Record, list[Reference]]]]:
        """Those that point to nothing that is not there, resolved; of the others, to what."""
        pointed = {one.key: set(references_in(one.fields)) for one in page}
        ids = ids_of(self.ledger, {reference for references in pointed.values() for reference in references})
        ready, missing = [], []
        for one in page:
            if not_there := sorted(pointed[one.key] - ids.keys()):
                missing.append((one, not_there))
            else:
                ready.append(one._replace(fields=replaced(one.fields, ids)))
        return ready, missing

    def with_contents(self, records: Sequence[T]) -> list[T]:
        """Those of some records whose files can be sent. The others become dead letters: the next reading of the cloud
        brings the contents again."""
        lacking = self.files.lacking(records)
        lost = [one for one in records if lacking and lacking.intersection(files_in(one.fields))]
        if lost:
            problem = "the content of its file is not kept any more; it is when the cloud has been read again"
            letters = [Refusal(*one.key, one.wanted, MISSING, problem) for one in lost]
            record(self.run, [Lines(refused=letters)])
        return [one for one in records if one not in lost] if lost else list(records)

    def refuse_missing(self, page: Sequence[Record], but: Callable[[Record], Reference]) -> None:
        """Have records that point to what is not there become dead letters, unless that is what `but` tells of them."""
        _, missing = self._resolved(page)
        self._refuse([(one, references) for one, references in missing if but(one) not in references])

    def _refuse(self, missing: Sequence[tuple[Record, list[Reference]]]) -> None:
        if missing:
            letters = [refusal_of(one, MISSING, f"not in the box: {_named(what)}") for one, what in missing]
            record(self.run, [Lines(refused=letters)])


def _named(references: Iterable[Reference]) -> str:
    return ", ".join(f"{entity} {source_id}" for entity, source_id in references)


def refusal_of(one: Record, error: str, description: str) -> Refusal:
    """The dead letter of a record, without anything that a person typed."""
    return Refusal(*one.key, one.wanted, error, description)


# Creates --------------------------------------------------------------------------------------------------------------


def intent_of(one: Record, **more: object) -> Intent:
    """What is written down before a create is sent; `more` is what it takes to find it again."""
    return Intent(one.entity, one.source_id, encoded({"digest": one.digest, **more}))


def created(intent: Intent, target_id: int | None) -> Lines:
    """The ledger's lines of a create that was done; one whose dates were refused is remembered with them."""
    told = decoded(intent.wanted)
    sent = made_from(told.get("snapshot"))
    entries = [Entry(intent.entity, intent.origin_id, target_id, sent, digest_of(told["digest"]))]
    if told.get("dates"):
        entries.append(Entry(UNDATED, f"{intent.entity}/{intent.origin_id}", target_id, encoded(told["dates"])))
    return Lines(entries)


# Commands that do no harm twice ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sending:
    """A command for a record, and the ledger's lines once it is done. What it was to take away may be gone already:
    `is_done_by` says of an error that it means that."""

    one: Record
    command: Command
    done: Lines
    is_done_by: Callable[[PortalError], bool] = lambda error: False

    @property
    def key(self) -> Key:
        return self.one.key

    @property
    def wanted(self) -> str:
        return self.one.wanted


Prepare = Callable[[Sequence[Record]], Awaitable[Sequence[Sending]]]


async def send_all(
    move: Move, page: Sequence[Record], prepare: Prepare, count_as: Literal["created", "updated"] = "updated"
) -> None:
    """Send a command a record, fifty a request. `prepare` makes them, anew for those whose answer was lost."""
    for chunk in move.files.by_weight(page, BATCH):
        await until_executed(move.run, chunk, partial(_send, move, prepare, count_as))


async def _send(
    move: Move, prepare: Prepare, count_as: Literal["created", "updated"], todo: Sequence[Record]
) -> list[Record]:
    sendings = await prepare(todo)
    outcomes = await move.run.client.send([sending.command for sending in sendings])
    answers = [
        (_attempt(sending), _outcome(sending, outcome)) for sending, outcome in zip(sendings, outcomes, strict=True)
    ]
    unknown = settle(move.run, answers, count_as)
    return [one for one in todo if one.key in unknown]


def _attempt(sending: Sending) -> Attempt:
    return Attempt(sending.key, sending.wanted, lambda _: sending.done)


def _outcome(sending: Sending, outcome: Outcome) -> Outcome:
    return Outcome(result=True) if outcome.error is not None and sending.is_done_by(outcome.error) else outcome


def dealt_with(one: Record, made: int | None = None) -> Lines:
    """The ledger's line of a record that is as it should be; with its id in the box where the move made it."""
    sent = changed_fields(one.digest, one.fields)
    return Lines([Entry(one.entity, one.source_id, made, sent, one.wanted, sent_before="{}")])
