"""Which portal is this, who else writes to it, and is it as new as the ledger? Told by the mark that we keep in it."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from ingest.bitrix24.client import Client
from ingest.warehouse import storage
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now
from publish import portals
from publish.bitrix24.catching_up import catch_up
from publish.bitrix24.kinds import Catalogue
from publish.bitrix24.mark import RETURNS, Carrier, Mark, Return, read_mark, write_mark
from publish.bitrix24.verification import EVER, drop_lost, put_back_links, verify
from publish.ledger import Ledger
from publish.portals import PortalRow, Writer

_EVERY = 300.0  # seconds after which a push that goes on reads and renews its mark
_CLOCKS_APART = timedelta(days=1)  # a mark of a later time was made by a clock that was wrong then, or is now
_ALIVE = timedelta(minutes=20)  # the mark of a push that goes on is never older, with the clocks of two machines apart


@dataclass(frozen=True, slots=True)
class Identity:
    """The portal as it was recognised. `row` is its row of sync.portals, `mark` what it carries; `is_caught_up` says
    that all own cards that the ledger had missed are in it; `is_older` that it was put back from an older copy, which
    nobody has told in its mark so far; `has_missed` that something of ours may be there that the ledger does not know;
    `surely_until`: it was put back, and what was sent before that time is there; `lost` lines have left the ledger;
    `notes` are for the operator, a line each."""

    row: PortalRow
    writer: Writer
    carrier: Carrier | None
    mark: Mark | None
    is_caught_up: bool = False
    is_older: bool = False
    has_missed: bool = False
    surely_until: datetime | None = None
    lost: int = 0
    notes: tuple[str, ...] = ()


async def recognise(
    ledger: Ledger, client: Client, parts: Catalogue, machine: str = "", *, take_over: bool = False
) -> Identity:
    """Find out which portal answers, and bring the ledger to what that portal holds, before anything is written.

    Raises OperatorError with exit status 3 when another warehouse publishes there and `take_over` is not set, or a push
    of that one goes on; nothing has changed then.
    """
    connection = ledger.connection
    writer = portals.writer_of(connection, machine)
    carrier, mark = await read_mark(client, parts)
    is_ours = mark is None or mark.writer == writer.fingerprint
    if mark is not None and not is_ours and (not take_over or _is_going_on(mark)):
        raise _refusal(ledger.portal, mark)
    notes = _rename(ledger, mark)
    is_claimed = portals.is_unclaimed(connection)
    if is_claimed:
        portals.claim(connection, ledger.portal)
    portals.saw(connection, ledger.portal, client.address)
    row = _row(ledger)
    identity = Identity(row, writer, carrier, mark, notes=tuple(notes))
    if is_claimed or mark is None or row.mark != mark.portal or row.mark_refused_at:
        is_known = mark is None or (row.mark == mark.portal and is_ours)
        return await _without_proof(identity, ledger, client, parts, from_newest=is_known)
    if not is_ours:
        return await _after_another_writer(identity, ledger, client, parts)
    return await _with_proof(identity, mark, ledger, client, parts)


def _row(ledger: Ledger) -> PortalRow:
    return portals.portal_row(ledger.connection, ledger.portal) or PortalRow(ledger.portal)


def _rename(ledger: Ledger, mark: Mark | None) -> list[str]:
    """Have the ledger of this name be that of the portal with this mark; a line for each ledger that moves."""
    connection = ledger.connection
    notes: list[str] = []
    row = portals.portal_row(connection, ledger.portal)
    if mark is None or (row is not None and row.mark == mark.portal):
        return notes
    if row is not None and row.mark is not None:
        aside = portals.put_aside(connection, ledger.portal)
        notes.append(f"{ledger.portal} is another portal than before; what that one held is kept as {aside}")
    known = portals.portal_with_mark(connection, mark.portal)
    if known is not None:
        if row is not None and row.mark is None and ledger.published():
            portals.put_aside(connection, ledger.portal)
        portals.forget_portal(connection, ledger.portal)
        portals.take_over(connection, known.portal, ledger.portal)
        notes.append(f"{ledger.portal} is the portal that was {known.portal}: its ledger goes by the new name")
    return notes


async def _without_proof(
    identity: Identity, ledger: Ledger, client: Client, parts: Catalogue, *, from_newest: bool
) -> Identity:
    """No mark that we know, or one that we could not write of late: what the ledger holds counts as far as the portal
    shows it, and our own cards that the ledger does not know are taken in, those above its newest or all."""
    notes, lost = list(identity.notes), 0
    if ledger.published():
        verdict = await verify(ledger, client, parts)
        portals.set_filled_before(ledger.connection, ledger.portal)
        if verdict.is_foreign:
            aside = portals.put_aside(ledger.connection, ledger.portal)
            portals.saw(ledger.connection, ledger.portal, client.address)
            notes.append(f"{ledger.portal} holds no card of the ledger: it starts empty, the ledger is kept as {aside}")
        elif verdict.lost or verdict.is_put_back:
            lost = max(verdict.lost, 1)
            drop_lost(ledger, parts)
            await _bring_up_to_date(ledger, client, parts, 0)
            notes.append(
                f"{ledger.portal} lacks {verdict.lost:,} parts of the ledger: they are found or created again, and all "
                "that was ever changed is compared"
            )
    missed = await catch_up(client, ledger, parts.cards, ledger.newest_ids() if from_newest else {})
    notes += _caught_up(ledger, missed)
    told = replace(identity, row=_row(ledger), is_caught_up=True, has_missed=missed > 0, notes=tuple(notes))
    return replace(told, lost=lost, surely_until=EVER) if lost else told


async def _after_another_writer(identity: Identity, ledger: Ledger, client: Client, parts: Catalogue) -> Identity:
    """A portal of ours that another warehouse has written to since: what it has created is taken in, links and
    addresses that it has taken away are made again where they are wanted. What it has changed counts as a manager's."""
    verdict = await verify(ledger, client, parts, also_links=True)
    drop_lost(ledger, parts)
    missed = await catch_up(client, ledger, parts.cards, {})
    notes = [f"{ledger.portal}: taken over", *_caught_up(ledger, missed)]
    if verdict.lost:
        notes.append(f"{ledger.portal} lacks {verdict.lost:,} parts of the ledger: they are found or created again")
    return replace(identity, is_caught_up=True, has_missed=True, notes=(*identity.notes, *notes))


async def _with_proof(identity: Identity, mark: Mark, ledger: Ledger, client: Client, parts: Catalogue) -> Identity:
    """The portal and its last writer are ours: is one of the two older than the other?"""
    row = identity.row
    if mark.number > row.highest:
        unknown = [told for told in mark.returns if told.noticed > row.highest]
        return await _with_older_warehouse(identity, unknown, ledger, client, parts)
    is_older = mark.number not in (row.counter, row.intended)
    if is_older or mark.is_under_way:
        # A push that never ended may have gone on after a copy of the portal was made under that same number.
        return await _put_back(identity, mark.number, mark.at, ledger, client, parts, is_sure=is_older)
    return replace(identity, row=_row(ledger))


async def _with_older_warehouse(
    identity: Identity, unknown: Sequence[Return], ledger: Ledger, client: Client, parts: Catalogue
) -> Identity:
    """The warehouse was put back from an older copy; what was created since then lies above the highest number it
    knows, unless the portal was put back meanwhile as well."""
    notes = (*identity.notes, f"this warehouse is older than what {ledger.portal} holds")
    identity = replace(identity, has_missed=True, notes=notes)
    if unknown:
        oldest = min(unknown, key=lambda told: told.number)
        told = await _put_back(identity, oldest.number, oldest.at, ledger, client, parts, is_sure=True)
        return replace(told, is_older=False)  # the mark tells it
    missed = await catch_up(client, ledger, parts.cards, ledger.newest_ids())
    return replace(identity, is_caught_up=True, notes=(*notes, *_caught_up(ledger, missed)))


async def _put_back(
    identity: Identity,
    number: int,
    at: datetime,
    ledger: Ledger,
    client: Client,
    parts: Catalogue,
    *,
    is_sure: bool,
) -> Identity:
    """The portal was put back to what it was at a push, for sure or (with `is_sure` unset) only if it shows signs of
    it: what is lost leaves the ledger, and own cards of any number that it does not know are taken in."""
    verdict = await verify(ledger, client, parts, surely_until=at, is_put_back=is_sure)
    if not verdict.is_put_back:
        return replace(identity, row=_row(ledger))
    drop_lost(ledger, parts)
    missed = await catch_up(client, ledger, parts.cards, {})
    await _bring_up_to_date(ledger, client, parts, number)
    note = (
        f"{ledger.portal} was put back from an older copy: it lacks {verdict.lost:,} parts of the ledger, "
        "which are found or created again"
    )
    notes = (*identity.notes, note, *_caught_up(ledger, missed))
    told = replace(identity, row=_row(ledger), is_caught_up=True, is_older=True, notes=notes)
    return replace(told, surely_until=at, lost=verdict.lost)


async def _bring_up_to_date(ledger: Ledger, client: Client, parts: Catalogue, since: int) -> None:
    """Have everything that was changed since a push compared, and sent, once more."""
    portals.set_restored(ledger.connection, ledger.portal, since)
    await put_back_links(ledger, client, parts, since)
    links = {link.entity for link in parts.links}
    for part in parts:
        if part.entity not in links:
            ledger.decide_anew(part, since)


def _caught_up(ledger: Ledger, missed: int) -> list[str]:
    return [f"{missed:,} cards of ours in {ledger.portal} were not in the ledger; they are now"] if missed else []


# The mark -------------------------------------------------------------------------------------------------------------


async def sign(identity: Identity, ledger: Ledger, client: Client, parts: Catalogue) -> Identity:
    """Write the mark of a push that begins, before its first create: from then on every other warehouse and every older
    copy of this one can tell. A portal that does not let us is published to all the same; `notes` say so the first
    time.

    Raises OperatorError with exit status 3 when another warehouse has marked it since it was recognised: hours may have
    gone over adoption, and what that one has created is not in our plan.
    """
    connection, row, mark = ledger.connection, identity.row, identity.mark
    carrier = identity.carrier
    if carrier is not None:
        carrier, there = await read_mark(client, parts)
        if there is not None and there != mark:
            raise _refusal(ledger.portal, there)
    if carrier is None or carrier.id is None:
        return replace(identity, mark=None, notes=())
    number = max(row.highest, mark.number if mark else 0)
    number += 1 if number % 2 == 0 else 2
    portal = mark.portal if mark else row.mark or uuid4().hex
    new = Mark(
        portal,
        identity.writer.fingerprint,
        number,
        utc_now().replace(microsecond=0),
        identity.writer.machine,
        _returns(identity, number),
    )
    ledger.push = number
    portals.intend_mark(connection, ledger.portal, portal, number)
    if await write_mark(client, carrier, new):
        portals.confirm_mark(connection, ledger.portal)
        return replace(identity, carrier=carrier, mark=new, row=_row(ledger), notes=())
    portals.refuse_mark(connection, row)
    note = (
        f"{ledger.portal} does not let us mark it, so every push checks all it holds: "
        "let the webhook's user be an administrator of CRM"
    )
    return replace(identity, carrier=carrier, mark=None, notes=() if row.mark_refused_at else (note,))  # said once


def _returns(identity: Identity, number: int) -> tuple[Return, ...]:
    """When the portal was put back, for its new mark: what the one so far tells, and what was noticed now."""
    mark = identity.mark
    if mark is None:
        return ()
    noticed = (Return(number, mark.number, mark.at),) if identity.is_older else ()
    return (*mark.returns, *noticed)[-RETURNS:]


async def while_signed(
    identity: Identity, ledger: Ledger, client: Client, parts: Catalogue, work: Coroutine[Any, Any, None]
) -> None:
    """Do the work of a push under its mark. Of several errors at once the one that has a hint is raised."""
    ended = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_keep_signed(identity, ledger, client, parts, ended))
            await work
            ended.set()
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The exception to tell the operator: one that has a hint, else the first."""
    flat = [_first(error) if isinstance(error, BaseExceptionGroup) else error for error in group.exceptions]
    hinted = (error if isinstance(error, OperatorError) else storage.told(error) for error in flat)
    return next((error for error in hinted if error), flat[0])


async def _keep_signed(
    identity: Identity, ledger: Ledger, client: Client, parts: Catalogue, ended: asyncio.Event
) -> None:
    """Until a push that goes on has ended, look every few minutes whose mark is there, and renew the time in ours.

    Raises OperatorError with exit status 3 when another warehouse has written its own.
    """
    mark, carrier = identity.mark, identity.carrier
    if mark is None or carrier is None or not mark.is_under_way:
        return
    while not ended.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _EVERY)
            return
        if await _is_still_ours(mark, ledger, client, parts):
            await write_mark(client, carrier, replace(mark, at=utc_now().replace(microsecond=0)))


async def _is_still_ours(mark: Mark, ledger: Ledger, client: Client, parts: Catalogue) -> bool:
    """Whether our mark is there; none is where the field was deleted: the next push makes and marks it again. Raises
    OperatorError with exit status 3 for another warehouse's."""
    _, there = await read_mark(client, parts)
    if there is not None and there.writer != mark.writer:
        raise _refusal(ledger.portal, there)
    return there is not None


async def sign_off(identity: Identity, ledger: Ledger, client: Client, parts: Catalogue) -> None:
    """Write the mark of a push that has ended.

    Raises OperatorError with exit status 3 when another warehouse has written its own meanwhile: that one's stays.
    """
    mark, carrier = identity.mark, identity.carrier
    if mark is None or carrier is None or not mark.is_under_way:
        return
    if not await _is_still_ours(mark, ledger, client, parts):
        return
    ended = replace(mark, number=mark.number + 1, at=utc_now().replace(microsecond=0))
    portals.intend_mark(ledger.connection, ledger.portal, mark.portal, ended.number)
    if await write_mark(client, carrier, ended):
        portals.confirm_mark(ledger.connection, ledger.portal)


def _is_going_on(mark: Mark) -> bool:
    """Whether the push that wrote this mark may still be sending; one that was killed counts so for a while."""
    return mark.is_under_way and -_CLOCKS_APART < utc_now() - mark.at < _ALIVE


def _refusal(portal: str, mark: Mark) -> OperatorError:
    hint = "let one of the two publish; `publish push --take-over` makes it this one"
    if _is_going_on(mark):
        hint += f", not before {mark.at + _ALIVE:%H:%M} UTC unless its push, which is under way, has ended"
    return OperatorError(
        f"another warehouse publishes to {portal}: on {mark.machine or 'a machine without a name'}, "
        f"last on {mark.at:%Y-%m-%d %H:%M} UTC",
        hint=hint,
        exit_status=3,
    )
