"""One push of a move: recognise the box, recover, plan, ask what would start by itself, send kind by kind, look back.

Pages `universal/import/index` (the order of creation), `common/system/server-time`.
"""

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ingest.bitrix24.answers import rows_of
from ingest.bitrix24.client import Client, Command
from ingest.bitrix24.pacing import BATCH
from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from publish import portals
from publish.bitrix24 import identity, reference, signing
from publish.bitrix24.catching_up import catch_up
from publish.bitrix24.identity import Identity
from publish.bitrix24.kinds import Catalogue
from publish.bitrix24.recovery import recover
from publish.bitrix24.run import Progress, Result, Run
from publish.settings import Settings
from publish.transfer import boxes, dates, preflight, unseen
from publish.transfer.changes import bind, change_cards, change_pieces, delete, is_gone, second_pass, set_all
from publish.transfer.comments import keep_names, send_comments, send_later_files
from publish.transfer.creates import create_cards, create_pieces, look_up
from publish.transfer.files import Files, contents_of
from publish.transfer.kinds import MARK, PIECES, SETTINGS, cards
from publish.transfer.ledger import TransferLedger
from publish.transfer.records import Work, drop_letters
from publish.transfer.sending import Move


@dataclass(frozen=True, slots=True)
class Word:
    """What a person says: that nothing starts by itself in the box, that it is another one than before, that this
    warehouse takes it over from another."""

    automation_is_off: bool = False
    is_new_box: bool = False
    takes_over: bool = False


async def push(
    ledger: TransferLedger, client: Client, settings: Settings, dates_file: Path, progress: Progress, word: Word
) -> Result:
    """Bring the box of the ledger to what `marts.transfer_records` says.

    `dates_file` gets the statements for dates that imports refused.

    Raises OperatorError with exit status 2 where something is to be sent and nobody said that automation is off, 3
    where another warehouse moves into the box, or the box has lost our marks; PortalRefused and PortalUnavailable as
    the publisher does; what was settled stays.
    """
    started_at = journal.utc_now()
    parts = cards(ledger.cloud)
    run = Run(client, ledger, settings, parts, progress)
    work = Work(ledger, settings.moved_entities, settings.transfer_deletions == "delete")
    files = Files(ledger.connection, ledger.cloud, contents_of(settings.warehouse))
    move = Move(run, ledger, work, files)
    work.plan()
    drop_letters(ledger)
    if work.is_any() or ledger.open_intents() or ledger.published():  # is this the box of the ledger, and as new?
        await _push(move, parts, word)
    run.result.requests = client.requests
    run.result.dead_letters, run.result.dead_letters_now = ledger.dead_letters(), ledger.dead_letters(started_at)
    if number := dates.write(ledger, dates_file, await zone_of(client) if client.requests else None):
        run.note([f"{number:,} cards wait for dates that only the box's own database takes: look through {dates_file}"])
    return run.result


async def _push(move: Move, parts: Catalogue, word: Word) -> None:
    run, ledger, client, work = move.run, move.ledger, move.run.client, move.work
    without_marks = await _without_marks(client, parts)
    if without_marks:  # lists of cards are filtered by the field of marks, so it has to be there first
        _check_marks(ledger, without_marks, word)
        work.plan()
        if not work.count():
            return
        await _prepare(move, parts, is_off=word.automation_is_off)
    known = portals.portal_row(ledger.connection, ledger.portal)
    box = await identity.recognise(ledger, client, parts, run.settings.machine, take_over=word.takes_over)
    told = await unseen.notice(ledger.connection, client, known, box.mark, run.settings.box_user)
    run.note([*box.notes, told] if told else box.notes)
    newest = ledger.newest_ids()
    ledger.marked(box.row.mark or "")
    move = dataclasses.replace(move, looks_first=await _look_back(move, box))
    if intents := ledger.open_intents():  # creates that a killed run had sent
        await recover(run, intents, lambda unknown: look_up(move, unknown))
    work.plan()
    if not work.count():
        _ended(move)
        return
    if not without_marks:
        is_off = word.automation_is_off or boxes.is_automation_off(ledger.connection, ledger.portal)
        await _prepare(move, parts, is_off=is_off)
    if not box.is_caught_up:
        await catch_up(client, ledger, parts.cards, newest)
        work.plan()
    signed = await signing.sign(box, ledger, client, parts)
    if signed.mark is None:
        raise OperatorError(
            f"{ledger.portal} does not let us mark it, so its map of ids could be taken for that of another box",
            hint="let the webhook's user be an administrator",
        )
    ledger.marked(signed.mark.portal)
    boxes.writes_as(ledger.connection, ledger.portal, run.settings.box_user)
    if word.automation_is_off:
        boxes.say_automation_is_off(ledger.connection, ledger.portal)
    for entity, number in work.counts().items():
        run.progress.expect(entity, number)
    await signing.while_signed(signed, ledger, client, parts, _send(move, parts))
    await signing.sign_off(signed, ledger, client, parts)
    _ended(move)


async def _look_back(move: Move, box: Identity) -> bool:
    """Whether something of ours may be in the box that the ledger does not know. Of a box put back to an older copy,
    what hangs on cards and was sent after that leaves the ledger: it is found there, or made again."""
    at = box.surely_until.at if box.surely_until else None
    if at is None and box.mark is not None and box.mark.is_under_way and await _lacks_newest(move, box.mark.at):
        at = box.mark.at  # a copy that was made while a push went on that was killed
    if at is not None:
        move.run.result.lost = box.lost + move.ledger.forget_since(at)
    if at is not None or box.has_missed:
        move.ledger.may_have_missed()
    return move.ledger.has_missed()


async def _lacks_newest(move: Move, since: datetime) -> bool:
    """Whether the box lacks one of the newest pieces that the move made since a time."""
    commands = [
        piece.to_get(number)
        for piece in PIECES.values()
        for number in move.ledger.newest_since(piece.entity, since, BATCH // 4)
    ]
    outcomes = await move.run.client.read_outcomes(commands, optional={command.method for command in commands})
    return any(is_gone(outcome.error) for outcome in outcomes if outcome.error)


def _ended(move: Move) -> None:
    """The push has ended without an error."""
    portals.set_filled(move.ledger.connection, move.ledger.portal)
    move.ledger.all_is_known()


async def _without_marks(client: Client, parts: Catalogue) -> list[str]:
    """Kinds of cards that the box has no custom field for our marks of."""
    commands = [Command(f"{card.user_fields}.list", {"filter": {"FIELD_NAME": MARK}}) for card in parts.cards]
    answers = zip(parts.cards, commands, await client.read(commands), strict=True)
    return [
        card.entity
        for card, command, answer in answers
        if MARK not in {row.get("FIELD_NAME") for row in rows_of(command.method, answer)}
    ]


def _check_marks(ledger: TransferLedger, without_marks: Sequence[str], word: Word) -> None:
    """Of a box that is another one than before, the ledger starts empty.

    Raises OperatorError with exit status 3 where we have moved cards and nobody said so: without marks what is there of
    ours cannot be told, and would be made again.
    """
    if "company" not in without_marks or not (ledger.published() or ledger.open_intents()):
        return
    if not word.is_new_box:
        raise OperatorError(
            f"{ledger.portal} has no custom field {MARK}, and we have moved records there",
            hint="when it is another box than before, make transfer-baseline (or --new-box); when somebody deleted the "
            "field, put the box back",
            exit_status=3,
        )
    portals.put_aside(ledger.connection, ledger.portal)


async def _prepare(move: Move, parts: Catalogue, *, is_off: bool) -> None:
    """Before anything is written: what would start by itself; the custom fields for our marks."""
    run = move.run
    with_rows = move.work.counts().get("product_rows", 0)
    run.note(await preflight.check(run.client, is_off=is_off, with_rows=with_rows))
    await reference.prepare(run.client, move.ledger, parts, run.settings)


async def _send(move: Move, parts: Catalogue) -> None:
    """What is new, each kind in a lane of its own, for each has its own limit; a record waits for what it points to.
    Then changes; what only the whole allows; deletions."""
    async with asyncio.TaskGroup() as lanes:
        lanes.create_task(_create_cards(move, parts))
        for piece in ("requisite", "bank_detail", "address", "activity"):
            lanes.create_task(create_pieces(move, PIECES[piece]))
        for entity in SETTINGS:
            lanes.create_task(set_all(move, entity))
        lanes.create_task(_comment(move))
        lanes.create_task(bind(move))
        lanes.create_task(second_pass(move))
    async with asyncio.TaskGroup() as lanes:
        lanes.create_task(_change_cards(move, parts))
        for piece in ("requisite", "bank_detail", "address", "activity"):
            lanes.create_task(change_pieces(move, PIECES[piece]))
    await delete(move)


async def _create_cards(move: Move, parts: Catalogue) -> None:
    for card in parts.cards:
        await create_cards(move, card)


async def _change_cards(move: Move, parts: Catalogue) -> None:
    for card in parts.cards:
        await change_cards(move, card)


async def _comment(move: Move) -> None:
    await send_comments(move)
    await keep_names(move)
    await send_later_files(move)


async def zone_of(client: Client) -> timezone | None:
    """The box's own time zone, as it tells its time; None where it does not."""
    clock = await unseen.clock_of(client)
    offset = clock.utcoffset() if clock else None
    return None if offset is None else timezone(offset)
