"""Details that left the mart while their owner stays: bank details and addresses that the sources have no more.

Deleted only where the portal still holds just what we sent: a field that differs, or one that we never sent and that
somebody filled in, makes it the manager's. Either way it is ours no longer, and the ledger's line ends. What hangs on a
company that left itself stays with its card.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ingest.bitrix24.pacing import BATCH, PAGE
from publish import plan
from publish.bitrix24.kinds import Detail
from publish.bitrix24.run import Attempt, Lines, Run, dead_letter, record, settle, until_executed
from publish.entries import WHOLE, Conflict
from publish.ownership import Ownership
from publish.parts import decoded, shown
from publish.plan import Change

_PAGE = BATCH * PAGE


async def remove_details(run: Run, detail: Detail) -> None:
    """Take away what left, of one kind of detail."""
    above = ""
    while changes := plan.page(run.connection, detail.entity, "remove", above, _PAGE):
        above = changes[-1].origin_id
        await until_executed(run, changes, partial(_remove, run, detail))


async def _remove(run: Run, detail: Detail, todo: Sequence[Change]) -> list[Change]:
    """Take one page away; changes whose answer was lost."""
    there = await detail.read(run.client, sorted({change.bitrix_id for change in todo if change.bitrix_id is not None}))
    adopted = _adopted(run, detail, todo)
    lines: list[Lines] = []
    to_delete: list[Change] = []
    for change in todo:
        current = there.get(change.bitrix_id) if change.bitrix_id is not None else None
        if current is None:  # it went before us
            lines.append(Lines(gone=[change.key]))
        elif (conflict := _managers(run, detail, change, current, is_adopted=change.origin_id in adopted)) is not None:
            lines.append(Lines(gone=[change.key], conflicts=[conflict]))
        else:
            to_delete.append(change)
    record(run, lines)
    again: list[Change] = []
    for at in range(0, len(to_delete), BATCH):
        again += await _send(run, detail, to_delete[at : at + BATCH])
    return again


def _adopted(run: Run, detail: Detail, changes: Sequence[Change]) -> set[str]:
    rows = run.connection.execute(
        """select origin_id from portal_ledger
           where entity = ? and is_adopted and origin_id in (select unnest(?::varchar[]))""",
        [detail.entity, [change.origin_id for change in changes]],
    ).fetchall()
    return {origin_id for (origin_id,) in rows}


def _managers(
    run: Run, detail: Detail, change: Change, current: Mapping[str, Any], *, is_adopted: bool
) -> Conflict | None:
    """The conflict to list of a detail that is a manager's: adopted, typed over, or set to be theirs; else None."""
    sent, owners = decoded(change.sent), Ownership(run.settings.field_owners)
    theirs = (field.name for field in detail.fields if owners.of(detail.entity, field) == "manager")
    name = WHOLE if is_adopted else next(theirs, None) or detail.touched(current, sent)
    if name is None:
        return None
    last_sent, in_portal = shown(sent.get(name)) or None, shown(current.get(name)) or None
    return Conflict(*change.key, change.bitrix_id, name, last_sent, in_portal, None)


async def _send(run: Run, detail: Detail, changes: Sequence[Change]) -> list[Change]:
    outcomes = await run.client.send(
        [detail.to_remove(change.bitrix_id) for change in changes if change.bitrix_id is not None]
    )
    unknown = settle(run, zip(map(_attempt, changes), outcomes, strict=True), "updated")
    return [change for change in changes if change.key in unknown]


def _attempt(change: Change) -> Attempt:
    gone = Lines(gone=[change.key])
    return Attempt(
        change.key,
        change.wanted,
        lambda _: gone,
        # Somebody was faster: the aim is reached.
        lambda error: gone if "not found" in error.description.lower() else dead_letter(change, error),
    )
