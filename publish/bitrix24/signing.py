"""The mark of a push: written before it sends anything, renewed while it sends, written once more when it has ended."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

from ingest.bitrix24.client import Client
from ingest.warehouse import storage
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.journal import utc_now
from publish import portals
from publish.bitrix24.identity import Identity, row_of
from publish.bitrix24.kinds import Catalogue
from publish.bitrix24.mark import RETURNS, Mark, Return, read_mark, refusal, write_mark
from publish.ledger import Ledger

_EVERY = 300.0  # seconds after which a push that goes on reads and renews its mark


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
            raise refusal(ledger.portal, there, ledger.schema)
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
        return replace(identity, carrier=carrier, mark=new, row=row_of(ledger), notes=())
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
        raise refusal(ledger.portal, there, ledger.schema)
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
