"""Creates whose answer was lost: looked up by their own keys before anything is sent again.

There is no idempotency key and nothing is unique in the portal (page `requisites/universal/crm-requisite-add`), so a
create is repeated only when a look-up by its own key finds nothing.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ingest.bitrix24.answers import number_of
from ingest.bitrix24.client import Client, list_by
from publish.bitrix24.kinds import Card, Catalogue, Detail
from publish.bitrix24.run import Lines, Run, record
from publish.entries import Entry, Intent
from publish.parts import PRIMARY, Key, canonical, decoded

LookUp = Callable[[Sequence[Intent]], Awaitable[Lines]]


async def recover(run: Run, intents: Sequence[Intent], look_up: LookUp | None = None) -> set[Key]:
    """Settle creates of unknown outcome; keys of those that were not executed. `look_up` answers what the portal says
    of some, `executed` unless told otherwise.

    The portal may still be working on a request whose connection is gone, or whose sender was killed a moment ago
    (an intent may have waited long before it was sent): only when the time that the portal gives a request has
    passed from now does an absent record prove that it was not created.
    """
    unknown, clock = list(intents), run.client.pace.clock
    look_up = look_up or partial(_executed, run)
    decided_at = clock.time() + run.settings.bitrix24_request_limit
    while unknown:
        is_final = clock.time() >= decided_at
        lines = await look_up(unknown)
        there = {entry.key for entry in lines.entries} | {refusal.key for refusal in lines.refused}
        unknown = [intent for intent in unknown if intent.key not in there]
        absent = [intent.key for intent in unknown] if is_final else []
        record(run, [lines], "created", absent=absent)
        if is_final:
            return set(absent)
        if unknown:
            await clock.sleep(max(0.0, decided_at - clock.time()))
    return set()


async def _executed(run: Run, intents: Sequence[Intent]) -> Lines:
    return Lines(await executed(run.client, run.parts, intents))


async def executed(client: Client, parts: Catalogue, intents: Sequence[Intent]) -> list[Entry]:
    """Those of the intended creates that the portal holds, with the links that travelled with them."""
    by_entity: dict[str, list[Intent]] = defaultdict(list)
    for intent in intents:
        by_entity[intent.entity].append(intent)
    entries: list[Entry] = []
    for entity, group in by_entity.items():
        part = parts[entity]
        if isinstance(part, Detail):
            entries += await _details(client, part, group)
        elif isinstance(part, Card):
            ids = await part.find(client, [intent.origin_id for intent in group])
            for intent in group:
                if intent.origin_id in ids:
                    entries += created(parts, intent, ids[intent.origin_id])
    return entries


def created(parts: Catalogue, intent: Intent, bitrix_id: int) -> list[Entry]:
    """The ledger's lines of a create that succeeded: the part, and the links that travelled with it."""
    entries = [Entry(intent.entity, intent.origin_id, bitrix_id, intent.wanted, intent.wanted)]
    link = parts.travelling(intent.entity)
    if link:  # the first of them is the primary one
        texts = [PRIMARY, *("{}" for _ in intent.links)]
        for other, text in zip(intent.links, texts, strict=False):
            entries.append(Entry(link.entity, f"{intent.origin_id}/{other}", bitrix_id, text, text))
    return entries


async def _details(client: Client, detail: Detail, intents: Sequence[Intent]) -> list[Entry]:
    """Details by what they hang on and the fields that tell them apart; one with other content is a manager's."""
    owners = sorted({intent.owner_id for intent in intents if intent.owner_id is not None})
    there: dict[tuple[Any, ...], dict[str, Any]] = {}
    for listed in await list_by(client, detail.listing, "ENTITY_ID", owners, where=detail.constants):
        owner_id = number_of(detail.listing, listed, "ENTITY_ID")
        there.setdefault((owner_id, *_texts(listed, detail.identity)), listed)
    entries = []
    for intent in intents:
        wanted = decoded(intent.wanted)
        row = there.get((intent.owner_id, *_texts(wanted, detail.identity)))
        if row is None:
            continue
        is_ours = _texts(row, detail.content) == _texts(wanted, detail.content)
        known = intent.wanted if is_ours else "{}"
        bitrix_id = number_of(detail.listing, row, detail.id_field)
        entries.append(Entry(detail.entity, intent.origin_id, bitrix_id, known, known, not is_ours))
    return entries


def _texts(row: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(canonical("text", row.get(name)) for name in names)
