"""What no list shows is gone, or may not be read by the webhook's user: only the `get` of each tells which.

Lists leave out both (page `universal/crm-item-list`); a `get` says NOT_FOUND or "is not found", and ACCESS_DENIED or
"Access denied" (pages `universal/crm-item-get`, `requisites/universal/crm-requisite-get`,
`requisites/bank-detail/crm-requisite-bank-detail-get`).
"""

from collections.abc import Sequence
from typing import Literal

from ingest.bitrix24.client import LOST, Client, Command, Outcome
from ingest.bitrix24.errors import Reaction
from ingest.bitrix24.pacing import BATCH
from publish.bitrix24.kinds import Card, Detail

# `unsure`: the portal fails on it every time.
Fate = Literal["there", "gone", "denied", "unsure"]
_ATTEMPTS = 6


async def fates(client: Client, gets: Sequence[Command]) -> list[Fate]:
    """What became of the records that these commands get, in order, fifty a request; lost answers are asked for again.

    Raises PortalRefused for an error that concerns everything: it says nothing of any record.
    """
    outcomes = [LOST] * len(gets)
    for _ in range(_ATTEMPTS):
        unknown = [index for index, outcome in enumerate(outcomes) if not outcome.is_known]
        for at in range(0, len(unknown), BATCH):
            turn = unknown[at : at + BATCH]
            for index, outcome in zip(turn, await client.send([gets[index] for index in turn]), strict=True):
                outcomes[index] = outcome
    return [_fate(outcome) for outcome in outcomes]


def _fate(outcome: Outcome) -> Fate:
    if not outcome.is_known:
        return "unsure"
    if outcome.error is None:
        return "there"
    if outcome.error.reaction is Reaction.STOP:
        raise outcome.error.stop()
    return "gone" if outcome.error.is_gone else "denied"


async def unreadable(client: Client, part: Card | Detail, unlisted: Sequence[int]) -> set[int]:
    """Those of the unlisted numbers of a kind whose `get` does not say that they are gone.

    Asked from the newest on, fifty a request; where fifty are all gone, so are the others: they are what a portal put
    back from an older copy lacks.
    """
    denied: set[int] = set()
    numbers = sorted({*unlisted} - {0}, reverse=True)  # a line without a number is nowhere
    for at in range(0, len(numbers), BATCH):
        gets = {number: get for number in numbers[at : at + BATCH] if (get := part.to_get(number)) is not None}
        told = await fates(client, list(gets.values()))
        there = {number for number, fate in zip(gets, told, strict=True) if fate != "gone"}
        denied |= there
        if not there:
            break
    return denied
