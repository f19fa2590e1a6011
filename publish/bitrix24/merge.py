"""Cards of merged records: the portal joins each with its survivor's (page `crm-entity-merge-batch`).

A pair that it cannot join without a person (CONFLICT) is listed once and left alone from then on. Fields and keys of
ours always differ, so they leave the merged card first. What a killed push left so is known by table
`sync.merges_under_way`, and the ledger says that its fields are to be sent again: the next push gives the card all of
them and its key back, and tries again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ingest.bitrix24.client import Command
from ingest.bitrix24.pacing import BATCH
from publish.bitrix24.joining import end_merges, leaving_with
from publish.bitrix24.kinds import Card, origin
from publish.bitrix24.run import UNLISTED, Attempt, Lines, Run, record, refusal, send_repeatable, settle, until_executed
from publish.entries import Conflict, Entry, Merge
from publish.parts import Departed, Key, decoded, encoded
from publish.plan import MERGE


@dataclass(frozen=True, slots=True)
class Pair:
    """A record that was merged into another, its card with the line that the ledger has of it, its survivor's card."""

    line: Entry
    survivor: Key
    survivor_id: int
    wanted: str = "{}"

    @property
    def key(self) -> Key:
        return self.line.key

    @property
    def merged_id(self) -> int:
        return self.line.bitrix_id or 0


async def merge_cards(run: Run) -> None:
    """Merge every pair of the plan."""
    for card in run.parts.cards:
        if card.departed:
            pairs = _pairs(run, card, card.departed)
            for at in range(0, len(pairs), BATCH):
                await until_executed(run, pairs[at : at + BATCH], partial(_merge, run, card, card.departed))


def _pairs(run: Run, card: Card, departed: Departed) -> list[Pair]:
    rows = run.connection.execute(
        f"""select plan.origin_id, plan.bitrix_id, line.sent::varchar, line.wanted::varchar, survivor.origin_id,
                survivor.bitrix_id
            from plan_{card.entity} as plan
            inner join portal_held as line on line.entity = '{card.entity}' and line.origin_id = plan.origin_id
            inner join {departed.mart} as departed on departed.{card.key} = plan.origin_id
            inner join portal_held as survivor
                on survivor.entity = '{card.entity}' and survivor.origin_id = departed.merged_into
            where plan.action = 'merge' order by 1"""
    ).fetchall()
    return [
        Pair(Entry(card.entity, key, merged, sent, wanted), Key(card.entity, survivor), survivor_id)
        for key, merged, sent, wanted, survivor, survivor_id in rows
    ]


async def _merge(run: Run, card: Card, departed: Departed, todo: Sequence[Pair]) -> list[Pair]:
    """Merge up to fifty pairs; those whose answer was lost."""
    await end_merges(run.ledger, run.client, run.parts)  # of those whose answer was lost before
    held = run.ledger.ids(card.entity, [pair.key.origin_id for pair in todo])
    todo = [pair for pair in todo if pair.key.origin_id in held]
    there = await card.read(
        run.client, sorted({number for pair in todo for number in (pair.merged_id, pair.survivor_id)})
    )
    missing = [Lines(refused=_unlisted(pair, there)) for pair in todo]
    record(run, [lines for lines in missing if lines.refused])
    pairs = [pair for pair, lines in zip(todo, missing, strict=True) if not lines.refused]
    if not pairs:
        return []
    run.ledger.begin_merges(_begun(card, departed, pair, there[pair.merged_id]) for pair in pairs)
    emptied = dict.fromkeys([*_own_fields(card), *origin("")], None)
    await send_repeatable(run, [card.to_update(pair.merged_id, emptied) for pair in pairs])
    outcomes = await send_repeatable(run, [_to_merge(card, pair) for pair in pairs])
    answers = dict(zip(pairs, outcomes, strict=True))
    apart = [pair for pair, outcome in answers.items() if outcome.is_known and _status(outcome.result) != "SUCCESS"]
    to_restore = [_to_restore(card, pair, there[pair.merged_id]) for pair in apart]
    restored = await send_repeatable(run, to_restore) if apart else []
    lost = {pair for pair, outcome in zip(apart, restored, strict=True) if not outcome.is_done}
    settled = [(_attempt(run, card, pair), outcome) for pair, outcome in answers.items() if pair not in lost]
    unknown = settle(run, settled)
    return [pair for pair in pairs if pair in lost or pair.key in unknown]


def _unlisted(pair: Pair, there: dict[int, dict[str, Any]]) -> list[Any]:
    """Dead letters of cards of a pair that no list shows: the end of the push tells whether they were deleted."""
    cards = {pair.key: pair.merged_id, pair.survivor: pair.survivor_id}
    return [
        refusal(Pair(Entry(*key, number), pair.survivor, 0), *UNLISTED)
        for key, number in cards.items()
        if number not in there
    ]


def _own_fields(card: Card) -> list[str]:
    return [field.name for field in card.fields if field.custom_type]


def _begun(card: Card, departed: Departed, pair: Pair, current: dict[str, Any]) -> Merge:
    """What is known from now on of a card that is about to be emptied of all that is ours."""
    sent = {name: value for name, value in decoded(pair.line.sent).items() if name not in _own_fields(card)}
    wanted = {name: value for name, value in decoded(pair.line.wanted).items() if name != departed.state_field}
    line = Entry(*pair.key, pair.merged_id, encoded(sent), encoded(wanted))
    return Merge(line, str(current.get("createdTime")))


def _to_merge(card: Card, pair: Pair) -> Command:
    params = {"entityTypeId": card.type_id, "entityIds": [pair.survivor_id, pair.merged_id]}
    return Command("crm.entity.mergeBatch", {"params": params})


def _to_restore(card: Card, pair: Pair, before: dict[str, Any]) -> Command:
    """The command that gives a card its fields and its key back, which may be another system's."""
    sent, key = decoded(pair.line.sent), origin(pair.key.origin_id)
    if before.get("originId"):
        key = {name: before[name] for name in key}
    return card.to_update(pair.merged_id, {name: sent[name] for name in _own_fields(card) if name in sent} | key)


def _status(result: Any) -> str | None:
    return result.get("STATUS") if isinstance(result, dict) else None


def _attempt(run: Run, card: Card, pair: Pair) -> Attempt:
    """Merged: the card and what hangs on it are gone. Not merged: the pair is listed with what the portal said."""

    def listed(said: str | None) -> Lines:
        conflict = Conflict(*pair.key, pair.merged_id, MERGE, None, said, str(pair.survivor_id))
        return Lines([pair.line], conflicts=[conflict])

    def done(result: Any) -> Lines:
        status = _status(result)
        return Lines(gone=leaving_with(run.parts, pair.key)) if status == "SUCCESS" else listed(status)

    return Attempt(pair.key, "{}", done, lambda error: listed(error.description))
