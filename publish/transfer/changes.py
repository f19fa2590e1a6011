"""Changes of a move: fields of what is in the box, settings that replace a whole, the second pass, deletions.

All of them may be sent again: a change says what is wanted, not what to do to it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from ingest.bitrix24.answers import number_of, rows_of
from ingest.bitrix24.client import Command, list_by
from ingest.bitrix24.errors import PortalError
from ingest.bitrix24.pacing import BATCH
from publish.bitrix24.kinds import Card
from publish.bitrix24.run import Lines, record, send_repeatable
from publish.parts import Key
from publish.settings import MOVED
from publish.transfer import forms
from publish.transfer.kinds import ACTIVITY, AFTERWARDS, BINDING, PIECES, SETTINGS, Address, Piece
from publish.transfer.records import Record, Reference
from publish.transfer.sending import Move, Sending, dealt_with, refusal_of, send_all

_ROWS = "crm.item.productrow.list"
_MOVE = "crm.activity.binding.move"
_OWNER = ("OWNER_TYPE_ID", "OWNER_ID")
_ITSELF = "itself"
_OWNER_LETTERS = {"D": "deal", "L": "lead"}


# Fields ---------------------------------------------------------------------------------------------------------------


async def change_cards(move: Move, card: Card) -> None:
    """Change fields of cards, and phones and the like one by one."""
    for page in move.work.pages(card.entity, "update"):
        ready = move.with_contents(move.resolved(page))
        if told := [one for one in ready if not one.fields]:  # all that is to be changed, the second pass has
            ours = move.made(told)
            record(move.run, [dealt_with(one, ours.get(one.source_id)) for one in told])
        await send_all(move, [one for one in ready if one.fields], partial(_card_changes, move, card))


async def _card_changes(move: Move, card: Card, page: Sequence[Record]) -> list[Sending]:
    with_fm = [one.target_id for one in page if "fm" in one.fields and one.target_id is not None]
    there = await card.read(move.run.client, with_fm) if with_fm else {}
    ours = move.made(page)
    sendings = []
    for one in page:
        fields = move.files.filled(one.fields)
        if "fm" in fields:
            held = there.get(one.target_id or 0, {}).get("fm")
            fields["fm"] = forms.fm_changes(held, fields["fm"] or [])
        sendings.append(Sending(one, card.to_update(one.target_id, fields), dealt_with(one, ours.get(one.source_id))))
    return sendings


async def change_pieces(move: Move, piece: Piece) -> None:
    for page in move.work.pages(piece.entity, "update"):
        ready = move.resolved(page)
        if piece is ACTIVITY:
            ready = await _with_their_owners(move, ready)
        await send_all(move, ready, partial(_piece_changes, move, piece))


async def _with_their_owners(move: Move, page: Sequence[Record]) -> list[Record]:
    """Let activities hang on the cards that they hang on by now, which no change of theirs does; those that do. One
    that hung on a card of another kind is refused (page `binding/crm-activity-binding-move`)."""
    ids = [one.target_id for one in page if one.target_id is not None]
    rows = await list_by(move.run.client, ACTIVITY.listing, "ID", ids, where={}, select=["ID", *_OWNER])
    there = {number_of(ACTIVITY.listing, row, "ID"): tuple(str(row.get(name)) for name in _OWNER) for row in rows}
    moving: list[tuple[Record, Command]] = []
    for one in page:
        held, wanted = there.get(one.target_id or 0), tuple(str(one.fields.get(name)) for name in _OWNER)
        if held is not None and _OWNER[1] in one.fields and held != wanted:
            ends = {"sourceEntityTypeId": held[0], "sourceEntityId": held[1]}
            ends |= {"targetEntityTypeId": wanted[0], "targetEntityId": wanted[1]}
            moving.append((one, Command(_MOVE, {"activityId": one.target_id, **ends})))
    left_out: set[str] = set()
    for at in range(0, len(moving), BATCH):
        turn = moving[at : at + BATCH]
        outcomes = await send_repeatable(move.run, [command for _, command in turn])
        for (one, _), outcome in zip(turn, outcomes, strict=True):
            if not outcome.is_done:  # one whose answer was lost is asked about by the next push
                left_out.add(one.source_id)
            if outcome.error is not None:
                letter = refusal_of(one, outcome.error.name, outcome.error.description)
                record(move.run, [Lines(refused=[letter])])
    return [one for one in page if one.source_id not in left_out]


async def _piece_changes(move: Move, piece: Piece, page: Sequence[Record]) -> list[Sending]:
    ours = move.made(page)
    return [
        Sending(
            one,
            piece.to_update(one.target_id or 0, forms.changed(one.fields)),
            dealt_with(one, ours.get(one.source_id)),
        )
        for one in page
    ]


# Settings -------------------------------------------------------------------------------------------------------------


async def set_all(move: Move, entity: str) -> None:
    """Set what replaces all that was there: the product rows of a card, the requisites chosen for a deal."""
    for action in ("create", "update"):
        for page in move.work.pages(entity, action):
            owned = [_with_owner(one) for one in page] if entity == "product_rows" else page
            async for ready in move.ready(owned, entity):
                empty = [one for one in ready if one.fields.get("productRows") == []]
                await _take_rows_away(move, empty)
                rest = [one for one in ready if one not in empty]
                await send_all(move, rest, _settings, "created" if action == "create" else "updated")


async def _take_rows_away(move: Move, cards: Sequence[Record]) -> None:
    """Take all product rows of cards away one by one, for a batch has no form for an empty list; until none is listed,
    for those that are left may have got other numbers."""
    while cards:
        commands = [
            Command(_ROWS, {"filter": {"=ownerType": one.fields["ownerType"], "=ownerId": one.fields["ownerId"]}})
            for one in cards
        ]
        answers = zip(cards, await move.run.client.read(commands), strict=True)
        cards = [one for one, answer in answers if await _had_rows(move, one, answer)]


async def _had_rows(move: Move, one: Record, answer: Any) -> bool:
    """Whether the list of a card showed rows and some were taken away. Without any it is dealt with, where none was
    shown, or refused; where no answer came the next push goes on."""
    rows = rows_of(_ROWS, answer["productRows"] if isinstance(answer, dict) else answer)
    numbers = [number_of(_ROWS, row, "id") for row in rows[:BATCH]]
    commands = [Command("crm.item.productrow.delete", {"id": number}) for number in numbers]
    outcomes = await send_repeatable(move.run, commands) if commands else []
    if any(outcome.is_done for outcome in outcomes):
        return True
    if not outcomes:
        record(move.run, [dealt_with(one)], "updated")
    for error in [outcome.error for outcome in outcomes if outcome.error][:1]:
        record(move.run, [Lines(refused=[refusal_of(one, error.code, error.description)])])
    return False


def _with_owner(one: Record) -> Record:
    letter, _, owner_id = one.source_id.partition(":")
    owner = {"ref": [_OWNER_LETTERS.get(letter, letter), owner_id]}
    return one._replace(fields={"ownerType": letter, "ownerId": owner} | one.fields)


async def _settings(page: Sequence[Record]) -> list[Sending]:
    return [Sending(one, _setting(one), dealt_with(one)) for one in page]


def _setting(one: Record) -> Command:
    fields = one.fields if one.entity == "product_rows" else {"fields": one.fields}
    return Command(SETTINGS[one.entity], fields)


# The second pass ------------------------------------------------------------------------------------------------------


async def second_pass(move: Move) -> None:
    """Fields that point to what is made later, and what can only be told of an activity that is there. What is there
    and points to what is not becomes a dead letter; what is not there itself has one."""
    for page in move.work.second_pass():
        asked = [_afterwards(one) for one in page]
        told: set[Key] = set()
        async for ready in move.ready(asked, AFTERWARDS, refuses=False):
            told |= {one.key for one in ready}
            sent = [one._replace(target_id=one.fields[_ITSELF], fields=one.fields["fields"]) for one in ready]
            await send_all(move, sent, partial(_second, move))
        move.refuse_missing([one for one in asked if one.key not in told], but=_itself)


def _afterwards(one: Record) -> Record:
    """A record under the key of what is told of it afterwards."""
    key = f"{one.entity}/{one.source_id}"
    fields = {_ITSELF: {"ref": [one.entity, one.source_id]}, "fields": one.fields}
    return one._replace(entity=AFTERWARDS, source_id=key, fields=fields)


def _itself(one: Record) -> Reference:
    return Reference(*one.source_id.split("/", 1))


async def _second(move: Move, page: Sequence[Record]) -> list[Sending]:
    sendings = []
    for one in page:
        entity, _ = _itself(one)
        part = ACTIVITY if entity == ACTIVITY.entity else move.card(entity)
        fields = forms.completed(one.fields) if part is ACTIVITY else one.fields
        told = one._replace(fields=fields)
        sendings.append(Sending(told, part.to_update(told.target_id or 0, fields), dealt_with(told)))
    return sendings


async def bind(move: Move) -> None:
    """Bind activities to cards other than their owners, to which they are bound already."""
    for page in move.work.bindings():
        async for ready in move.ready(page, BINDING, refuses=False):
            await send_all(move, ready, _bindings)


async def _bindings(page: Sequence[Record]) -> list[Sending]:
    return [Sending(one, Command("crm.activity.binding.add", one.fields), dealt_with(one), _is_bound) for one in page]


def _is_bound(error: PortalError) -> bool:
    return error.code == "ACTIVITY_IS_ALREADY_BOUND"


# Deletions ------------------------------------------------------------------------------------------------------------


async def delete(move: Move) -> None:
    """Take away what was deleted in the cloud, what hangs on cards before the cards."""
    for entity in reversed(MOVED):
        for page in move.work.pages(entity, "delete"):
            await send_all(move, move.resolved(page), partial(_deletions, move))


async def _deletions(move: Move, page: Sequence[Record]) -> list[Sending]:
    return [Sending(one, _removal(move, one), dealt_with(one), is_gone) for one in page]


def _removal(move: Move, one: Record) -> Command:
    if one.entity in PIECES:
        piece = PIECES[one.entity]
        if isinstance(piece, Address):
            return Command(piece.remove, {"fields": one.fields})
        return piece.to_remove(one.target_id or 0)
    if one.entity in SETTINGS:
        names = {"entityTypeId": one.fields["ENTITY_TYPE_ID"], "entityId": one.fields["ENTITY_ID"]}
        return Command("crm.requisite.link.unregister", names)
    return Command("crm.item.delete", {"entityTypeId": move.card(one.entity).type_id, "id": one.target_id})


def is_gone(error: PortalError) -> bool:
    """Whether an error says that there is no such record."""
    return error.code.upper() == "NOT_FOUND" or "not found" in error.description.lower()
