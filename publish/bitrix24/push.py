"""One push: recover, plan, adopt, ask the change limit, then send in lanes under two limits.

Lanes are creates of cards, creates of what hangs on them, and updates beside them; each works on methods of its own, so
that one that has used up its operating time does not hold up the others. It reads its work from the plan page by page;
what it may do depends on the ledger and on how far the lane before it has got.
"""

import asyncio
import dataclasses

from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from publish import plan
from publish.bitrix24 import adoption, reference
from publish.bitrix24.client import Client, Command
from publish.bitrix24.creates import create_cards, create_details
from publish.bitrix24.kinds import CardLink, Catalogue, Detail
from publish.bitrix24.links import change_links
from publish.bitrix24.merge import merge_cards
from publish.bitrix24.parts import PARTS
from publish.bitrix24.recovery import recover
from publish.bitrix24.run import Progress, Result, Run, Silent
from publish.bitrix24.updates import update_parts
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
    run = Run(client, ledger, settings, parts, progress or Silent())
    intents = ledger.open_intents()
    if intents:  # creates that a killed run had sent
        await recover(run, intents)
    plan.compute(ledger, parts)
    if any(plan.count(ledger.connection, card.entity, "create") for card in parts.cards):
        blocked = await adoption.adopt(run)
        run = dataclasses.replace(run, blocked=blocked)
        if run.result.adopted:
            plan.compute(ledger, parts)
    counts = {part.entity: plan.count(ledger.connection, part.entity) for part in parts}
    if any(counts.values()):
        if not let_through:
            _check_change_limit(run)
        for entity, number in counts.items():
            run.progress.expect(entity, number)
        lists = await reference.prepare(client, ledger.connection, parts, settings)
        await _send(dataclasses.replace(run, reference=lists))
    result = run.result
    result.requests = client.requests
    result.dead_letters = ledger.count("dead_letters")
    result.conflicts = ledger.count("conflicts")
    result.duplicates = ledger.count("adoption_duplicates")
    return result


def _check_change_limit(run: Run) -> None:
    """Stop a plan that would change more than a set share of what is published, unless no push has ever ended."""
    ended = run.connection.execute(
        "select 1 from ops.steps where step = ? and status = 'done' limit 1", [journal.PUBLISH_PUSH]
    ).fetchone()
    if not ended:
        return
    published = run.ledger.published()
    for card in run.parts.cards:
        there, changed = published.get(card.entity, 0), plan.count(run.connection, card.entity)
        if changed > max(run.settings.fuse_floor, there * run.settings.fuse_share):
            raise OperatorError(
                f"the plan would create or change {changed} of {there} published {card.entity} cards, more than "
                f"SVOD_FUSE_SHARE={run.settings.fuse_share:g} allows",
                hint="look at `publish plan --show 20`; `publish push --let-through` lets it through once",
                exit_status=3,
            )


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
    if run.settings.bitrix24_merge_cards:
        await merge_cards(run)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The exception to tell the operator: one that has a hint, else the first."""
    flat = [_first(error) if isinstance(error, BaseExceptionGroup) else error for error in group.exceptions]
    return next((error for error in flat if isinstance(error, OperatorError)), flat[0])
