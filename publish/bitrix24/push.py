"""One push: recover, plan, adopt, ask the change limit, then send in lanes under two limits.

Lanes are creates of cards, creates of what hangs on them, and updates beside them; each works on methods of its own, so
that one that has used up its operating time does not hold up the others. It reads its work from the plan page by page;
what it may do depends on the ledger and on how far the lane before it has got.
"""

import asyncio
import dataclasses

from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from publish import change_limit, plan, set_aside, setting_names
from publish.bitrix24 import adoption, deletions, reference
from publish.bitrix24.client import Client, Command
from publish.bitrix24.creates import create_cards, create_details
from publish.bitrix24.holding import hold_back
from publish.bitrix24.inns import Inns
from publish.bitrix24.kinds import CardLink, Catalogue, Detail
from publish.bitrix24.leaving import remove_details
from publish.bitrix24.links import change_links, note_primaries
from publish.bitrix24.merge import merge_cards
from publish.bitrix24.parts import PARTS
from publish.bitrix24.recovery import recover
from publish.bitrix24.run import Progress, Result, Run, Silent
from publish.bitrix24.updates import update_parts
from publish.change_limit import Limit
from publish.ledger import Ledger, is_unclaimed
from publish.parts import lanes
from publish.settings import Settings


async def push(
    ledger: Ledger,
    client: Client,
    settings: Settings,
    *,
    parts: Catalogue = PARTS,
    let_through: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Bring the portal of the ledger to what the marts say. The ledger's connection must be the only one that writes.

    Raises OperatorError with exit status 3 when the change limit stops it, PortalRefused when the portal refuses
    everything, PortalUnavailable when it is not to be reached; what was settled stays.
    """
    if is_unclaimed(ledger.connection):
        await client.read([Command("crm.status.list", {"filter": {"ENTITY_ID": "DEAL_STAGE"}})])  # it answers us
        ledger.claim()
    started_at = journal.utc_now()
    setting_names.check_fields(settings, parts)
    run = Run(client, ledger, settings, parts, progress or Silent())
    intents = ledger.open_intents()
    if intents:  # creates that a killed run had sent
        await recover(run, intents)
    await deletions.make_way(run)
    run = dataclasses.replace(run, deleted=ledger.deleted())
    for link in parts.links:
        note_primaries(run, link)
    plan.compute(ledger, parts)
    setting_names.check_statuses(settings, ledger.connection, parts)
    inns = Inns(client, settings.inn_field)
    if any(plan.count(ledger.connection, part.entity, "create") for part in parts if not isinstance(part, CardLink)):
        blocked = await adoption.adopt(run, inns)
        run = dataclasses.replace(run, blocked=blocked)
        if run.result.adopted:
            plan.compute(ledger, parts)
    run = await hold_back(run, inns)
    set_aside.end_duplicates(ledger, started_at)
    ledger.take_off("dead_letters", list(plan.no_longer_wanted(ledger, parts)))
    if any(plan.count(ledger.connection, part.entity) for part in parts):
        limit = Limit(settings.fuse_share, settings.fuse_floor)
        change_limit.check(ledger, parts, limit, let_through=let_through)
        lists = await reference.prepare(client, ledger, parts, settings)
        run = dataclasses.replace(run, reference=lists)
        if lists.is_refilling:  # an administrator deleted a custom field: all of its values are to be sent again
            plan.compute(ledger, parts)
            change_limit.check(ledger, parts, limit, let_through=let_through)
        for part in parts:
            run.progress.expect(part.entity, plan.count(ledger.connection, part.entity))
        await _send(run)
        await deletions.tell_deleted(run, started_at)
    change_limit.sent(ledger)
    result = run.result
    result.requests = client.requests
    result.dead_letters, result.dead_letters_now = ledger.dead_letters(), ledger.dead_letters(started_at)
    result.deletions = ledger.count("deletions")
    result.conflicts = ledger.count("conflicts")
    result.duplicates = ledger.count("adoption_duplicates")
    return result


async def _send(run: Run) -> None:
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(create_cards(run))
            for lane in lanes(run.parts):
                details = [part for part in lane if isinstance(part, Detail)]
                if details:
                    tasks.create_task(create_details(run, details))
            tasks.create_task(_change(run))
    except BaseExceptionGroup as group:
        raise _first(group) from None


async def _change(run: Run) -> None:
    """The lane that changes what is there; what refers to other cards waits until those are created."""
    for part in run.parts:
        for entity in part.needs:
            await run.lanes.wait_for_end(entity)
        if isinstance(part, CardLink):
            await change_links(run, part)
        else:
            await update_parts(run, part)
            if isinstance(part, Detail):
                await remove_details(run, part)
    if run.settings.bitrix24_merge_cards:
        await merge_cards(run)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The exception to tell the operator: one that has a hint, else the first."""
    flat = [_first(error) if isinstance(error, BaseExceptionGroup) else error for error in group.exceptions]
    return next((error for error in flat if isinstance(error, OperatorError)), flat[0])
