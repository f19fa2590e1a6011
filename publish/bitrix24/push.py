"""One push: recognise the portal, recover, plan, adopt, ask the change limit, then send in lanes under two limits.

Lanes are creates of cards, creates of what hangs on them, and updates beside them; each works on methods of its own, so
that one that has used up its operating time does not hold up the others. It reads its work from the plan page by page;
what it may do depends on the ledger and on how far the lane before it has got.
"""

import asyncio
import dataclasses

from ingest.bitrix24.client import Client
from ingest.warehouse import journal
from publish import change_limit, plan, portals, set_aside, setting_names, waiting
from publish.bitrix24 import adoption, deletions, identity, reference, responsible, returning, signing, todos
from publish.bitrix24.catching_up import catch_up
from publish.bitrix24.creates import create_cards, create_details
from publish.bitrix24.holding import empty_one, hold_back, list_moving
from publish.bitrix24.inns import Inns
from publish.bitrix24.kinds import CardLink, Catalogue, Detail
from publish.bitrix24.leaving import remove_details
from publish.bitrix24.links import change_links, maybe_ours, note_primaries
from publish.bitrix24.merge import merge_cards
from publish.bitrix24.parts import PARTS, REQUISITE
from publish.bitrix24.recovery import recover
from publish.bitrix24.run import Progress, Result, Run, Silent
from publish.bitrix24.updates import update_parts
from publish.change_limit import Limit
from publish.ledger import Ledger
from publish.parts import lanes
from publish.settings import Settings


async def push(
    ledger: Ledger,
    client: Client,
    settings: Settings,
    *,
    parts: Catalogue = PARTS,
    let_through: bool = False,
    take_over: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Bring the portal of the ledger to what the marts say. The ledger's connection must be the only one that writes.

    Raises OperatorError with exit status 3 when the change limit stops it or another warehouse publishes to the portal
    (`take_over` makes that this one), PortalRefused when the portal refuses everything, PortalUnavailable when it is
    not to be reached; what was settled stays.
    """
    started_at = journal.utc_now()
    setting_names.check_fields(settings, parts)
    run = Run(client, ledger, settings, parts, progress or Silent())
    _plan(run)
    setting_names.check_known(settings, ledger.connection, parts)
    is_open = (
        todos.is_due(run)
        or ledger.open_intents()
        or ledger.is_any_wanted_again()
        or portals.is_deletion_untold(run.connection, ledger.portal)
        or identity.row_of(ledger).restored_at is not None
    )
    if take_over or is_open or _is_sending(run):
        await _publish(run, let_through=let_through, take_over=take_over)
    else:
        _end_set_aside(run)
    change_limit.sent(ledger)
    result = run.result
    if client.moved_from:
        run.note([f"{client.moved_from} redirects to {client.host}: put that address into SVOD_BITRIX24_WEBHOOK"])
    result.requests = client.requests
    result.dead_letters, result.dead_letters_now = ledger.dead_letters(), ledger.dead_letters(started_at)
    result.deletions = ledger.count("deletions")
    result.conflicts = ledger.count("conflicts")
    result.duplicates = ledger.count("adoption_duplicates")
    return result


async def _publish(run: Run, *, let_through: bool, take_over: bool) -> None:
    """All that asks the portal something."""
    client, ledger, parts = run.client, run.ledger, run.parts
    portal = await identity.recognise(ledger, client, parts, run.settings.machine, take_over=take_over)
    run = dataclasses.replace(run, restored_at=portal.row.restored_at)
    run.note(portal.notes)
    newest = ledger.newest_ids()  # before recovery, which knows of the newest creates and of none before them
    intents = [intent for intent in ledger.open_intents() if intent.entity != todos.ENTITY]
    if intents:  # creates that a killed run had sent
        await recover(run, intents)
    await todos.take_stock(run)
    if portal.is_looked_through:
        await deletions.tell_absent(run)
    is_any_back = await returning.take_back(run)
    run = dataclasses.replace(run, deleted=ledger.deleted())
    if intents or is_any_back or portal.notes or portal.is_caught_up:
        _plan(run)
    has_missed = portal.has_missed
    if any(plan.count(run.connection, card.entity, "create") for card in parts.cards) and not portal.is_caught_up:
        missed = await catch_up(client, ledger, parts.cards, newest)
        run.result.adopted += missed
        has_missed |= missed > 0
    inns = Inns(client, run.settings.inn_field)
    if any(plan.count(run.connection, part.entity, "create") for part in parts if not isinstance(part, CardLink)):
        run = dataclasses.replace(run, blocked=await adoption.adopt(run, inns))
    if run.result.adopted:
        _plan(run)
    if has_missed:
        for link in parts.links:
            maybe_ours(run, link)
    run = await hold_back(run, inns)
    _leave_out_waiting(run)
    _end_set_aside(run)
    is_sending = _is_sending(run)
    if is_sending:
        run = await _prepare(run, let_through=let_through)
    is_telling = todos.is_due(run)
    if take_over or is_sending or is_telling:
        signed = await signing.sign(portal, ledger, client, parts)
        run.note(signed.notes)
        if is_sending or is_telling:
            await signing.while_signed(signed, ledger, client, parts, _send(run, is_sending=is_sending))
        await signing.sign_off(signed, ledger, client, parts)
    if portals.is_deletion_untold(run.connection, ledger.portal):  # met by this push, or by one that broke off
        await deletions.tell_deleted(run)
    portals.set_filled(run.connection, ledger.portal)


async def _prepare(run: Run, *, let_through: bool) -> Run:
    """The run with the portal's lists, once the change limit lets it pass."""
    limit = Limit(run.settings.fuse_share, run.settings.fuse_floor)
    change_limit.check(run.ledger, run.parts, limit, let_through=let_through)
    lists = await reference.prepare(run.client, run.ledger, run.parts, run.settings)
    await responsible.check(run.connection, run.client, run.settings)
    if lists.is_refilling:  # an administrator deleted a custom field: all of its values are to be sent again
        _plan(run)
        change_limit.check(run.ledger, run.parts, limit, let_through=let_through)
    for part in run.parts:
        run.progress.expect(part.entity, plan.count(run.connection, part.entity))
    return dataclasses.replace(run, reference=lists)


def _plan(run: Run) -> None:
    for link in run.parts.links:
        note_primaries(run, link)
    settings = run.settings
    plan.compute(run.ledger, run.parts, merges=settings.bitrix24_merge_cards, owners=settings.field_owners)
    _leave_out_waiting(run)


def _leave_out_waiting(run: Run) -> None:
    """What is handed on from one of our cards to another is held back and goes out all the same."""
    held = {key: fields for key, fields in run.held.items() if key.origin_id not in run.moving}
    waiting.leave_out(run.connection, run.parts, run.blocked, held)


def _is_sending(run: Run) -> bool:
    return any(plan.count(run.connection, part.entity) for part in run.parts)


def _end_set_aside(run: Run) -> None:
    """Take off the lists what the plan and adoption show to be over."""
    set_aside.end_duplicates(run.ledger)
    over = plan.no_longer_wanted(run.ledger, run.parts, run.settings.field_owners)
    run.ledger.take_off("dead_letters", [*(key for key in over if key.entity != todos.ENTITY), *todos.ended(run)])


async def _send(run: Run, *, is_sending: bool) -> None:
    """Bring the portal to the plan; then people are told what that and the pushes before leave to them."""
    if is_sending:
        await _send_plan(run)
    await todos.tell(run)


async def _send_plan(run: Run) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(create_cards(run))
        for lane in lanes(run.parts):
            details = [part for part in lane if isinstance(part, Detail)]
            if details:
                tasks.create_task(create_details(run, details))
        tasks.create_task(_change(run))
    await _hand_on_inns(run)


async def _hand_on_inns(run: Run) -> None:
    """INNs that go from one of our cards to another, round by round; those that do not get there are listed."""
    tried: set[str] = set()
    while run.moving:
        _plan(dataclasses.replace(run, blocked={}, held={}))  # what was held back is looked at anew
        moving = run.moving
        run = await hold_back(run, Inns(run.client, run.settings.inn_field))
        if run.moving.keys() >= moving.keys():  # nobody has let go of one
            emptied = empty_one(run, tried)
            if emptied is None:
                list_moving(run)
                return
            run = emptied
        await update_parts(run, REQUISITE)


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
    await merge_cards(run)
