"""Creates of a move: cards by import with their past, then what hangs on them. An intent is written before each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ingest.bitrix24.answers import number_of, rows_of, whole
from ingest.bitrix24.client import LOST, Command, Outcome, list_by
from ingest.bitrix24.errors import PortalError
from ingest.bitrix24.pacing import BATCH
from publish.bitrix24.creates import NewCard, import_cards
from publish.bitrix24.kinds import Card
from publish.bitrix24.recovery import recover
from publish.bitrix24.run import END, Attempt, Lines, record, settle, until_executed
from publish.entries import Entry, Intent, Refusal
from publish.parts import Key, decoded
from publish.transfer import forms
from publish.transfer.kinds import ACTIVITY, ACTIVITY_COMMENT, COMMENT, LATER_FILE, NAMES, PIECES, Address, Owner, Piece
from publish.transfer.ledger import digest_of, made_from
from publish.transfer.records import Record, known_targets
from publish.transfer.sending import Move, created, intent_of, refusal_of

_NOT_VALID = "CRM_FIELD_ERROR_VALUE_NOT_VALID"
_OWNER_TYPES = {"1": "lead", "2": "deal", "3": "contact", "4": "company"}


# Cards ----------------------------------------------------------------------------------------------------------------


async def create_cards(move: Move, card: Card) -> None:
    """Create the cards of a kind, the oldest first: an import refuses a time of creation before that of a card which is
    there. A card whose dates are refused is made without them, and they are kept for a person."""
    alone: set[Key] = set()
    one_request = card.add_together * BATCH
    for page in move.work.pages(card.entity, "create", one_request):
        for chunk in move.files.by_weight(move.with_contents(move.resolved(page)), one_request):
            await _create_cards(move, card, alone, chunk)
        await move.run.lanes.advance(card.entity, page[-1].source_id)
    await move.run.lanes.advance(card.entity, END)


async def _create_cards(move: Move, card: Card, alone: set[Key], records: Sequence[Record]) -> None:
    undated: list[NewCard] = []
    todo = [_new_card(move, one, undated) for one in records]
    await until_executed(move.run, todo, partial(_import, move, card, alone, undated))


def _new_card(move: Move, one: Record, undated: list[NewCard]) -> NewCard:
    fields = forms.to_import(move.files.filled(one.fields), move.mark(one.source_id))
    intent = intent_of(one)
    dates = forms.dates_of(fields)

    def refused(error: PortalError) -> Lines:
        if error.code != _NOT_VALID or not dates:
            return Lines(refused=[refusal_of(one, error.code, error.description)])
        later = intent_of(one, dates=dates)
        undated.append(NewCard(later, forms.without_dates(fields), partial(created, later), final))
        return Lines()

    def final(error: PortalError) -> Lines:
        return Lines(refused=[refusal_of(one, error.code, error.description)])

    return NewCard(intent, fields, partial(created, intent), refused)


async def _import(
    move: Move, card: Card, alone: set[Key], undated: list[NewCard], todo: Sequence[NewCard]
) -> list[NewCard]:
    undated.clear()
    again = await import_cards(move.run, card, alone, todo, partial(look_up, move))
    return [*again, *undated]


# What hangs on them ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewPiece:
    """A piece to add: its fields for the portal, and what is written down of it."""

    one: Record
    piece: Piece
    fields: Mapping[str, Any]

    @property
    def intent(self) -> Intent:
        more = {"piece": self.piece.entity} if self.piece.entity != self.one.entity else {}
        return intent_of(self.one, fields=self.fields, **more)

    @property
    def key(self) -> Key:
        return self.one.key

    @property
    def wanted(self) -> str:
        return self.one.wanted


async def create_pieces(move: Move, piece: Piece) -> None:
    """Create the pieces of a kind, fifty a request."""
    for page in move.work.pages(piece.entity, "create"):
        async for ready in move.ready(page, piece.entity):
            await add_pieces(move, [_new_piece(move, one, piece) for one in ready])
            await move.run.lanes.advance(piece.entity, ready[-1].source_id)
    await move.run.lanes.advance(piece.entity, END)


def _new_piece(move: Move, one: Record, piece: Piece) -> NewPiece:
    if piece is not ACTIVITY:
        return NewPiece(one, piece, one.fields)
    if forms.can_be_made(one.fields):
        return NewPiece(one, piece, forms.to_activity(one.fields, move.mark(one.source_id)))
    owner = _OWNER_TYPES.get(str(one.fields.get("OWNER_TYPE_ID")), "")
    begun = forms.beginning(one.fields, forms.kind_of(one.fields))
    text = (one.fields.get("SUBJECT"), one.fields.get("DESCRIPTION"))
    return NewPiece(
        one, COMMENT, forms.to_comment(owner, one.fields["OWNER_ID"], begun, *text, files=one.fields.get("FILES"))
    )


async def add_pieces(move: Move, pieces: Sequence[NewPiece]) -> None:
    """Add pieces in their order, each once whatever happens."""
    if move.looks_first:
        pieces = await _not_there(move, pieces)
    for chunk in move.files.by_weight(move.with_contents(pieces), BATCH):
        await until_executed(move.run, chunk, partial(_add, move))


async def _not_there(move: Move, pieces: Sequence[NewPiece]) -> list[NewPiece]:
    """Those that the box has not; of the others the ledger knows now."""
    lines = await look_up(move, [new.intent for new in pieces])
    found = [replace(entry, sent=made_from(0), is_adopted=True) for entry in lines.entries]  # sent when, is not known
    record(move.run, [Lines(found, lines.refused)])
    there = {entry.key for entry in lines.entries} | {refusal.key for refusal in lines.refused}
    return [new for new in pieces if new.key not in there]


async def _add(move: Move, todo: Sequence[NewPiece]) -> list[NewPiece]:
    move.ledger.intend(new.intent for new in todo)
    commands = [new.piece.to_add(move.files.filled(new.fields, as_data=new.piece is ACTIVITY)) for new in todo]
    outcomes = await move.run.client.send(commands)
    answers = [(_attempt(new), _with_id(new, outcome)) for new, outcome in zip(todo, outcomes, strict=True)]
    unknown = settle(move.run, answers, "created")
    intents = [new.intent for new in todo if new.key in unknown]
    absent = await recover(move.run, intents, partial(look_up, move)) if unknown else set()
    return [new for new in todo if new.key in absent]


def _with_id(new: NewPiece, outcome: Outcome) -> Outcome:
    """An outcome; lost where it is done and does not say under which id: it is looked up."""
    is_odd = outcome.is_done and not isinstance(new.piece, Address) and whole(outcome.result) is None
    return LOST if is_odd else outcome


def _attempt(new: NewPiece) -> Attempt:
    return Attempt(new.key, new.wanted, lambda result: _piece_created(new.intent, new.piece, whole(result)))


def _piece_created(intent: Intent, piece: Piece, target_id: int | None) -> Lines:
    """An activity that became a comment has no id of an activity in the box."""
    if piece.entity == intent.entity or intent.entity in (NAMES, LATER_FILE):
        return created(intent, target_id)
    told, comment = created(intent, None), created(intent, target_id).entries[0]
    as_comment = Entry(ACTIVITY_COMMENT, comment.origin_id, target_id, comment.sent, comment.wanted)
    return Lines([*told.entries, as_comment])


# Looking up -----------------------------------------------------------------------------------------------------------


async def look_up(move: Move, intents: Sequence[Intent]) -> Lines:
    """What the box says of creates of unknown outcome."""
    groups: dict[str, list[Intent]] = defaultdict(list)
    for intent in intents:
        groups[decoded(intent.wanted).get("piece") or intent.entity].append(intent)
    found: list[Lines] = []
    for entity, group in groups.items():
        if entity in PIECES:
            found += await _pieces_there(move, PIECES[entity], group)
        else:
            ids = await move.card(entity).find(move.run.client, [intent.origin_id for intent in group])
            found += [created(intent, ids[intent.origin_id]) for intent in group if intent.origin_id in ids]
    return Lines(
        [entry for lines in found for entry in lines.entries], [letter for lines in found for letter in lines.refused]
    )


async def _pieces_there(move: Move, piece: Piece, intents: Sequence[Intent]) -> list[Lines]:
    """Pieces by their owner and what they say; equal ones are told apart by nothing, so each stands for one of them."""
    wanted = {intent.key: decoded(intent.wanted)["fields"] for intent in intents}
    rows: dict[Owner, list[dict[str, Any]]] = defaultdict(list)
    for row in await _rows(move, piece, {piece.owner_of(fields) for fields in wanted.values()}):
        rows[piece.owner_of(row)].append(row)
    if isinstance(piece, Address):
        return [
            _address_there(piece, intent, wanted[intent.key], row)
            for intent in intents
            for row in rows[piece.owner_of(wanted[intent.key])]
        ]
    numbers = [number_of(piece.listing, row, "ID") for listed in rows.values() for row in listed]
    taken = known_targets(move.ledger, piece.entity, numbers)
    found: list[Lines] = []
    for intent in intents:
        fields = wanted[intent.key]
        same = (row for row in rows[piece.owner_of(fields)] if piece.is_same(row, fields))
        free = sorted({number_of(piece.listing, row, "ID") for row in same} - taken)
        if free:
            taken.add(free[0])
            found.append(_piece_created(intent, piece, free[0]))
    return found


def _address_there(piece: Piece, intent: Intent, fields: Mapping[str, Any], row: Mapping[str, Any]) -> Lines:
    """One of its type on its owner is there: ours, or somebody else's, which stays."""
    if piece.is_same(row, fields):
        return created(intent, None)
    digest = digest_of(decoded(intent.wanted)["digest"])
    return Lines(
        refused=[Refusal(*intent.key, digest, "TypeAddress exists", "the box has another address of that type")]
    )


async def _rows(move: Move, piece: Piece, owners: set[Owner]) -> list[dict[str, Any]]:
    client = move.run.client
    if not piece.lists_many:
        commands = [
            Command(piece.listing, {"filter": _filter(piece, types) | {piece.owner_id: owner}, "order": {"ID": "DESC"}})
            for types, owner in sorted(owners)
        ]
        answers = await client.read(commands)
        return [row for answer in answers for row in rows_of(piece.listing, answer)]
    found: list[dict[str, Any]] = []
    for types in sorted({types for types, _ in owners}):
        ids = sorted(int(owner) for of, owner in owners if of == types)
        found += await list_by(client, piece.listing, piece.owner_id, ids, where=_filter(piece, types))
    return found


def _filter(piece: Piece, types: Sequence[str]) -> dict[str, str]:
    return dict(zip(piece.owner_types, types, strict=True))
