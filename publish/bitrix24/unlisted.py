"""What no list shows is gone, or may not be read by the webhook's user: only the `get` of each tells which."""

from collections.abc import Sequence

from ingest.bitrix24.client import Client
from ingest.bitrix24.pacing import BATCH
from publish.bitrix24.kinds import Card, Detail


async def unreadable(client: Client, part: Card | Detail, unlisted: Sequence[int]) -> set[int]:
    """Those of the unlisted numbers of a kind whose `get` does not say that they are gone.

    Asked from the newest on, fifty a request; where fifty are all gone, so are the others: they are what a portal put
    back from an older copy lacks.
    """
    denied: set[int] = set()
    numbers = sorted({*unlisted} - {0}, reverse=True)  # a line without a number is nowhere
    for at in range(0, len(numbers), BATCH):
        commands = {number: get for number in numbers[at : at + BATCH] if (get := part.to_get(number)) is not None}
        outcomes = await client.send(list(commands.values()))
        there = {
            number
            for number, outcome in zip(commands, outcomes, strict=True)
            if not (outcome.error and outcome.error.is_gone)
        }
        denied |= there
        if not there:
            break
    return denied
