"""Updates of what is published: changed fields only, after a look at what the portal holds now.

The portal's values are read for the cards about to be updated and for no others, fifty a command and fifty commands
a request. A change whose answer was lost is decided anew on what the portal then holds; what was being sent is written
down before, for a killed push is made good when the sources may have changed once more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ingest.bitrix24.pacing import BATCH, PAGE
from publish import plan
from publish.bitrix24.kinds import Card, Detail, Translations
from publish.bitrix24.run import UNLISTED, Attempt, Lines, Run, record, refusal, settle, until_executed
from publish.entries import Conflict, Entry
from publish.ledger import ANEW
from publish.ownership import CalledBefore, Decision, Ownership, decide, recalled
from publish.parts import Part, decoded, encoded
from publish.plan import Change

_PAGE = BATCH * PAGE


@dataclass(frozen=True, slots=True)
class Update:
    """A change decided on: the fields to send, and its lines of the ledger once they are there."""

    change: Change
    fields: Mapping[str, Any]
    decision: Decision
    lines: Lines

    @property
    def is_empty(self) -> bool:
        return not self.fields and not self.decision.values


async def update_parts(run: Run, part: Card | Detail) -> None:
    """Send every update of the plan for one kind of part."""
    above = ""
    while changes := plan.page(run.connection, part.entity, "update", above, _PAGE):
        above = changes[-1].origin_id
        await until_executed(run, changes, partial(_update, run, part))


async def _update(run: Run, part: Card | Detail, todo: Sequence[Change]) -> list[Change]:
    """Decide and send one page; changes whose answer was lost."""
    there = await part.read(run.client, sorted({change.bitrix_id for change in todo if change.bitrix_id is not None}))
    earlier = _earlier(run, part, todo)
    records = [decoded(text) for change in todo for text in (change.wanted, change.sent)]
    records += [version for versions in earlier.values() for version in versions]
    translations = {**run.reference.of(part), **run.ids_referred_to(part, records)}
    owners = Ownership(run.settings.field_owners)
    lines: list[Lines] = []
    updates: list[Update] = []
    for change in todo:
        current = there.get(change.bitrix_id) if change.bitrix_id is not None else None
        if current is None:
            lines.append(Lines(refused=[refusal(change, *UNLISTED)]))
            continue
        sent, here = decoded(change.sent), {**translations, **run.reference.of_card(part, current)}
        if change.origin_id in earlier:
            sent = recalled(part, earlier[change.origin_id], current, here, _called_before(run, part))
        update = _decided(run, part, owners, change, sent, current, here)
        if update.is_empty:
            lines.append(update.lines)
        else:
            updates.append(update)
    record(run, lines)
    again: list[Change] = []
    for at in range(0, len(updates), BATCH):
        again += await _send(run, part, updates[at : at + BATCH])
    return again


def _earlier(run: Run, part: Part, todo: Sequence[Change]) -> dict[str, list[dict[str, Any]]]:
    """What was sent of these parts, the newest first, where the portal may show another version than the last one: a
    push was killed before it saw the answer; the portal was put back, and it was not compared since (it may have been
    refused); or the part was taken in and nothing was sent since, so that the ledger may have known it before."""
    keys = [change.origin_id for change in todo]
    newer = run.ledger.updates_under_way(part.entity, keys)
    not_compared = [change.origin_id for change in todo if change.sent == "{}" or ANEW in decoded(change.previous)]
    older = run.ledger.versions(part.entity, not_compared if run.restored_at is None else keys)
    sent = {change.origin_id: change.sent for change in todo}
    return {
        key: [decoded(text) for text in (*newer.get(key, ()), sent[key], *older.get(key, ()))]
        for key in newer.keys() | older.keys()
    }


def _decided(
    run: Run,
    part: Card | Detail,
    owners: Ownership,
    change: Change,
    sent: Mapping[str, Any],
    current: Mapping[str, Any],
    translations: Translations,
) -> Update:
    wanted = decoded(change.wanted)
    emptied = run.emptied.get(change.key, frozenset())
    wanted |= dict.fromkeys(emptied)
    held = run.held_fields(change.key) - emptied
    decision = decide(
        part,
        owners,
        sent=sent,
        wanted=wanted,
        current=current,
        translations=translations,
        before=_called_before(run, part),
        held=held,
    )
    own_key = part.own_key(current, change.origin_id)
    dealt_with = _dealt_with(run, part, change, translations)
    entry = Entry(*change.key, change.bitrix_id, encoded(decision.sent), dealt_with, sent_before=change.sent)
    conflicts = [
        Conflict(*change.key, change.bitrix_id, left.field, left.last_sent, left.in_portal, left.wanted)
        for left in decision.conflicts
    ]
    return Update(change, {**decision.fields, **own_key}, decision, Lines([entry], conflicts=conflicts))


def _called_before(run: Run, part: Part) -> CalledBefore:
    """What our values have been called in the portal: lists and settings change."""
    return run.reference.before.get(part.entity, {})


def _dealt_with(run: Run, part: Part, change: Change, translations: Translations) -> str:
    """What to remember as dealt with: all of it but fields held back and references to cards that are not there yet. A
    card that somebody deleted will not come."""
    wanted = decoded(change.wanted)
    untold = run.held_fields(change.key) | {
        field.name
        for field in part.references
        if wanted.get(field.name)
        and wanted[field.name] not in translations[field.name]
        and not run.is_deleted(field.refers_to, wanted[field.name])
    }
    return change.wanted if not untold else encoded({name: wanted[name] for name in wanted if name not in untold})


async def _send(run: Run, part: Card | Detail, updates: Sequence[Update]) -> list[Change]:
    """Send up to fifty updates; changes whose answer was lost."""
    run.ledger.intend_updates(entry for update in updates for entry in update.lines.entries)
    outcomes = await run.client.send(
        [part.to_update(update.change.bitrix_id, update.fields, update.decision.values) for update in updates]
    )
    unknown = settle(run, zip(map(_attempt, updates), outcomes, strict=True), "updated")
    return [update.change for update in updates if update.change.key in unknown]


def _attempt(update: Update) -> Attempt:
    return Attempt(update.change.key, update.change.wanted, lambda _: update.lines)
