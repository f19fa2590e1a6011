"""Cards of merged records: the portal joins each with its survivor's (page `crm-entity-merge-batch`).

A pair that it cannot join without a person (CONFLICT) is listed once and left alone from then on.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ingest.bitrix24.client import Command
from ingest.bitrix24.pacing import BATCH
from publish.bitrix24.kinds import Card, origin
from publish.bitrix24.run import Attempt, Lines, Run, send_repeatable, settle
from publish.entries import Conflict
from publish.parts import Departed, Key
from publish.plan import MERGE


class Pair(NamedTuple):
    """A record that was merged into another, its card and its survivor's."""

    origin_id: str
    merged: int
    survivor: int


async def merge_cards(run: Run) -> None:
    """Merge every pair of the plan."""
    for card in run.parts.cards:
        if card.departed:
            pairs = _pairs(run, card, card.departed)
            for at in range(0, len(pairs), BATCH):
                await _merge(run, card, card.departed, pairs[at : at + BATCH])


def _pairs(run: Run, card: Card, departed: Departed) -> list[Pair]:
    rows = run.connection.execute(
        f"""select plan.origin_id, plan.bitrix_id, survivor.bitrix_id
            from plan_{card.entity} as plan
            inner join {departed.mart} as departed on departed.{card.key} = plan.origin_id
            inner join portal_held as survivor
                on survivor.entity = '{card.entity}' and survivor.origin_id = departed.merged_into
            where plan.action = 'merge' order by 1"""
    ).fetchall()
    return [Pair(*row) for row in rows]


async def _merge(run: Run, card: Card, departed: Departed, pairs: Sequence[Pair]) -> None:
    """Our own fields always differ, so they leave the merged card first and come back where the portal finds a
    CONFLICT; the pair is listed last, so that a killed run goes through all of it again."""
    ours = {field.name: None for field in card.fields if field.custom_type}
    emptied = ours | dict.fromkeys(origin(""), None)
    await send_repeatable(run, [card.to_update(pair.merged, emptied) for pair in pairs])
    outcomes = await send_repeatable(run, [_to_merge(card, pair) for pair in pairs])
    restored = [
        card.to_update(pair.merged, {departed.state_field: "merged", **origin(pair.origin_id)})
        for pair, outcome in zip(pairs, outcomes, strict=True)
        if outcome.is_known and _status(outcome.result) != "SUCCESS"
    ]
    if restored:
        await send_repeatable(run, restored)
    settle(run, [(_attempt(run, card, pair), outcome) for pair, outcome in zip(pairs, outcomes, strict=True)])


def _to_merge(card: Card, pair: Pair) -> Command:
    params = {"entityTypeId": card.type_id, "entityIds": [pair.survivor, pair.merged]}
    return Command("crm.entity.mergeBatch", {"params": params})


def _status(result: Any) -> str | None:
    return result.get("STATUS") if isinstance(result, dict) else None


def _attempt(run: Run, card: Card, pair: Pair) -> Attempt:
    """Merged: the card and what hangs on it are gone. Not merged: the pair is listed with what the portal said."""
    key = Key(card.entity, pair.origin_id)

    def listed(said: str | None) -> Lines:
        return Lines(conflicts=[Conflict(*key, pair.merged, MERGE, None, said, str(pair.survivor))])

    def done(result: Any) -> Lines:
        status = _status(result)
        if status != "SUCCESS":
            return listed(status)
        gone = [card.entity, *(detail.entity for detail in run.parts.details_on([card.entity]))]
        return Lines(gone=[Key(entity, pair.origin_id) for entity in gone])

    return Attempt(key, "{}", done, lambda error: listed(error.description))
