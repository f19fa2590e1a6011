"""Which portal is this, who else writes to it, and is it as new as the ledger? Told by the mark that we keep in it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.bitrix24.client import Client
from ingest.warehouse.connection import transaction
from publish import portals
from publish.bitrix24.catching_up import catch_up
from publish.bitrix24.joining import end_merges
from publish.bitrix24.kinds import Catalogue
from publish.bitrix24.mark import Carrier, Mark, Return, is_going_on, read_mark, refusal
from publish.bitrix24.verification import drop_lost, put_back_links, verify
from publish.held import EVER, Moment
from publish.ledger import Ledger
from publish.portals import PortalRow, Writer


@dataclass(frozen=True, slots=True)
class Identity:
    """The portal as it was recognised. `row` is its row of sync.portals, `mark` what it carries; `is_caught_up` says
    that all own cards that the ledger had missed are in it; `is_older` that it was put back from an older copy, which
    nobody has told in its mark so far; `has_missed` that something of ours may be there that the ledger does not know;
    `is_looked_through`: all that the ledger holds was looked for, and what is not there was deleted;
    `surely_until`: it was put back, and what was sent before then is there; `lost` lines have left the ledger;
    `notes` are for the operator, a line each."""

    row: PortalRow
    writer: Writer
    carrier: Carrier | None
    mark: Mark | None
    is_caught_up: bool = False
    is_older: bool = False
    has_missed: bool = False
    is_looked_through: bool = False
    surely_until: Moment | None = None
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
    if mark is not None and not is_ours and (not take_over or is_going_on(mark)):
        raise refusal(ledger.portal, mark, ledger.schema)
    notes = _rename(ledger, mark)
    is_claimed = portals.is_unclaimed(connection)
    if is_claimed:
        portals.claim(connection, ledger.portal)
    portals.saw(connection, ledger.portal, client.address)
    row = row_of(ledger)
    ledger.push = max(row.highest, mark.number if mark else 0)
    identity = Identity(row, writer, carrier, mark, notes=tuple(notes))
    await end_merges(ledger, client, parts)  # else a card that was joined looks like one that an older copy lacks
    if is_claimed or mark is None or row.mark != mark.portal or row.mark_refused_at:
        is_known = mark is None or (row.mark == mark.portal and is_ours)
        identity = await _without_proof(identity, ledger, client, parts, from_newest=is_known)
    elif not is_ours:
        identity = await _after_another_writer(identity, ledger, client, parts)
    else:
        identity = await _with_proof(identity, mark, ledger, client, parts)
    return await _bring_up_to_date(identity, ledger, client, parts)


def row_of(ledger: Ledger) -> PortalRow:
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
    notes = list(identity.notes)
    if is_looked_through := bool(ledger.published()):
        verdict = await verify(ledger, client, parts)
        portals.set_filled_before(ledger.connection, ledger.portal)
        if verdict.is_foreign:
            aside = portals.put_aside(ledger.connection, ledger.portal)
            portals.saw(ledger.connection, ledger.portal, client.address)
            notes.append(f"{ledger.portal} holds no card of the ledger: it starts empty, the ledger is kept as {aside}")
            is_looked_through = False
        elif verdict.lost or verdict.is_put_back:
            _drop_lost(ledger, parts, 0)
            notes.append(
                f"{ledger.portal} lacks {verdict.lost:,} parts of the ledger: they are found or created again, and all "
                "that was ever changed is compared"
            )
            return replace(identity, lost=max(verdict.lost, 1), surely_until=EVER, notes=tuple(notes))
    missed = await catch_up(client, ledger, parts.cards, ledger.newest_ids() if from_newest else {})
    notes += _caught_up(ledger, missed)
    return replace(
        identity,
        is_caught_up=True,
        has_missed=missed > 0,
        is_looked_through=is_looked_through,
        notes=tuple(notes),
    )


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
        return await _put_back(identity, mark.moment, ledger, client, parts, is_sure=is_older)
    return identity


async def _with_older_warehouse(
    identity: Identity, unknown: Sequence[Return], ledger: Ledger, client: Client, parts: Catalogue
) -> Identity:
    """The warehouse was put back from an older copy; what was created since then lies above the highest number it
    knows, unless the portal was put back meanwhile as well."""
    notes = (*identity.notes, f"this warehouse is older than what {ledger.portal} holds")
    identity = replace(identity, has_missed=True, notes=notes)
    if unknown:
        oldest = min(unknown, key=lambda told: told.number)
        told = await _put_back(identity, oldest.moment, ledger, client, parts, is_sure=True)
        return replace(told, is_older=False)  # the mark tells it
    missed = await catch_up(client, ledger, parts.cards, ledger.newest_ids())
    return replace(identity, is_caught_up=True, notes=(*notes, *_caught_up(ledger, missed)))


async def _put_back(
    identity: Identity, to: Moment, ledger: Ledger, client: Client, parts: Catalogue, *, is_sure: bool
) -> Identity:
    """The portal was put back to what it was at a moment, for sure or (with `is_sure` unset) only if it shows signs of
    it: what is lost leaves the ledger."""
    verdict = await verify(ledger, client, parts, surely_until=to, is_put_back=is_sure)
    if not verdict.is_put_back:
        return identity
    _drop_lost(ledger, parts, to.number)
    note = (
        f"{ledger.portal} was put back from an older copy: it lacks {verdict.lost:,} parts of the ledger, "
        "which are found or created again"
    )
    return replace(identity, is_older=True, surely_until=to, lost=verdict.lost, notes=(*identity.notes, note))


def _drop_lost(ledger: Ledger, parts: Catalogue, number: int) -> None:
    """Let what is lost leave the ledger, have everything that was changed since compared, and sent, once more, and
    remember since which push the portal has lost it; all in one moment, for the signs that told of it go with those
    lines."""
    links = {link.entity for link in parts.links}
    with transaction(ledger.connection):
        drop_lost(ledger, parts)
        for part in parts:
            if part.entity not in links:
                ledger.decide_anew(part, number)
        portals.set_restored(ledger.connection, ledger.portal, number)


async def _bring_up_to_date(identity: Identity, ledger: Ledger, client: Client, parts: Catalogue) -> Identity:
    """Of a portal that was put back, now or when a push noticed it that did not end: take in own cards of any number,
    and links, that the ledger does not know."""
    row = row_of(ledger)
    if row.restored_at is None:
        return replace(identity, row=row)
    missed = await catch_up(client, ledger, parts.cards, {})
    await put_back_links(ledger, client, parts, row.restored_at)
    mark, notes = identity.mark, (*identity.notes, *_caught_up(ledger, missed))
    return replace(
        identity,
        row=row,
        is_caught_up=True,
        is_older=identity.is_older or (mark is not None and mark.number == row.restored_at),
        has_missed=identity.has_missed or missed > 0,
        notes=notes,
    )


def _caught_up(ledger: Ledger, missed: int) -> list[str]:
    return [f"{missed:,} cards of ours in {ledger.portal} were not in the ledger; they are now"] if missed else []
