"""Comments of a card: the mart has all of a card's in one row, the box takes them one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

from publish.bitrix24.run import Lines, record
from publish.parts import Key
from publish.transfer import forms
from publish.transfer.creates import NewPiece, add_pieces
from publish.transfer.kinds import COMMENT, NAMES
from publish.transfer.ledger import text_digest
from publish.transfer.records import MISSING, Record, Reference
from publish.transfer.sending import Move, Sending, dealt_with, refusal_of, send_all

_PAGE = 200


async def send_comments(move: Move) -> None:
    """Make comments that the box has not, and change those that read otherwise by now; what was deleted in the cloud
    stays. A row is dealt with when none of its comments was refused."""
    for action in ("create", "update"):
        for page in move.work.pages("comments", action, _PAGE):
            await _send(move, page)


async def keep_names(move: Move) -> None:
    """Have a comment keep the name of each user of the cloud for whom another stands on a card."""
    for page in move.work.pages(NAMES, "create", _PAGE):
        owners, ids = await _owners_there(move, page)
        await add_pieces(
            move,
            [
                NewPiece(one, COMMENT, forms.kept_name(owners[one.key].entity, ids[owners[one.key]], one.fields))
                for one in page
                if owners[one.key] in ids
            ],
        )


async def _owners_there(move: Move, page: Sequence[Record]) -> tuple[dict[Key, Reference], dict[Reference, int]]:
    """The cards of comments, and the ids of those in the box; a comment of one that is not there is a dead letter."""
    owners = {one.key: _owner(one) for one in page}
    ids = await move.ids_of(owners.values(), waiting="comments")
    lost = [one for one in page if owners[one.key] not in ids]
    record(move.run, [Lines(refused=[refusal_of(one, MISSING, f"not in the box: {one.source_id}") for one in lost])])
    return owners, ids


async def _send(move: Move, page: Sequence[Record]) -> None:
    owners, ids = await _owners_there(move, page)
    wanted: dict[Key, list[Record]] = {}
    for one in page:
        if owners[one.key] in ids:
            owner = owners[one.key]
            wanted[one.key] = [_comment(part, owner, ids[owner]) for part in one.fields.get("parts") or []]
    comments = [comment for of_owner in wanted.values() for comment in of_owner]
    held = move.ledger.lines(COMMENT.entity, [comment.source_id for comment in comments])
    new = [comment for comment in comments if comment.source_id not in held]
    changed = [
        comment._replace(target_id=held[comment.source_id].target_id)
        for comment in comments
        if comment.source_id in held and held[comment.source_id].digest != comment.digest
    ]
    await add_pieces(move, [NewPiece(comment, COMMENT, comment.fields) for comment in new])
    await send_all(move, changed, _changes)
    settled = move.ledger.lines(COMMENT.entity, [comment.source_id for comment in comments])
    done = [
        one
        for one in page
        if one.key in wanted
        and all(
            comment.source_id in settled and settled[comment.source_id].digest == comment.digest
            for comment in wanted[one.key]
        )
    ]
    record(move.run, [dealt_with(one) for one in done])


def _owner(one: Record) -> Reference:
    entity, owner_id = one.source_id.split(":")[:2]
    return Reference(entity, owner_id)


def _comment(part: Mapping[str, Any], owner: Reference, owner_id: int) -> Record:
    fields = forms.to_comment(
        owner.entity, owner_id, forms.beginning(part), part.get("COMMENT"), files=part.get("FILES")
    )
    return Record(COMMENT.entity, str(part["ID"]), "create", None, fields, 0, text_digest(fields["COMMENT"]))


async def _changes(comments: Sequence[Record]) -> list[Sending]:
    return [
        Sending(
            comment,
            COMMENT.to_update(comment.target_id or 0, {"COMMENT": comment.fields["COMMENT"]}),
            dealt_with(comment, comment.target_id),
        )
        for comment in comments
    ]
