"""Comments of a card: the mart has all of a card's in one row, the box takes them one by one."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from publish.bitrix24.run import record
from publish.transfer import forms
from publish.transfer.creates import NewPiece, add_pieces
from publish.transfer.kinds import COMMENT, LATER_FILE, NAMES
from publish.transfer.ledger import text_digest
from publish.transfer.records import Record
from publish.transfer.sending import Move, Sending, dealt_with, send_all

_OWNER = "owner"  # the card of a row, in its fields
_WITH_FILES = "update with files"


async def send_comments(move: Move) -> None:
    """Make comments that the box has not, and change those that read otherwise by now; what was deleted in the cloud
    stays. A row is dealt with when none of its comments was refused."""
    for action in ("create", "update"):
        for page in move.work.pages("comments", action):
            async for ready in move.ready([_with_owner(one) for one in page], "comments"):
                await _send(move, ready)


async def keep_names(move: Move) -> None:
    """Have a comment keep the name of each user of the cloud for whom another stands on a card."""
    for page in move.work.pages(NAMES, "create"):
        async for ready in move.ready([_with_owner(one) for one in page], NAMES):
            names = [forms.kept_name(_kind_of_owner(one), one.fields[_OWNER], one.fields) for one in ready]
            await add_pieces(move, [NewPiece(one, COMMENT, fields) for one, fields in zip(ready, names, strict=True)])


async def send_later_files(move: Move) -> None:
    """Have comments keep files that came after their activities."""
    for page in move.work.pages(LATER_FILE, "create"):
        async for ready in move.ready(page, LATER_FILE):
            await add_pieces(move, [NewPiece(one, COMMENT, forms.later_file(one.fields)) for one in ready])


def _with_owner(one: Record) -> Record:
    """A row with a reference to the card that its key names."""
    entity, owner_id = one.source_id.split(":")[:2]
    return one._replace(fields=one.fields | {_OWNER: {"ref": [entity, owner_id]}})


def _kind_of_owner(one: Record) -> str:
    return one.source_id.partition(":")[0]


async def _send(move: Move, page: Sequence[Record]) -> None:
    wanted = {one.key: [_comment(part, one) for part in one.fields.get("parts") or []] for one in page}
    comments = [comment for of_owner in wanted.values() for comment in of_owner]
    held = move.ledger.lines(COMMENT.entity, [comment.source_id for comment in comments])
    new = [comment for comment in comments if comment.source_id not in held]
    changed = [
        comment._replace(target_id=held[comment.source_id].target_id, fields=_changed(comment))
        for comment in comments
        if comment.source_id in held and held[comment.source_id].digest != comment.digest
    ]
    await add_pieces(move, [NewPiece(comment, COMMENT, comment.fields) for comment in new])
    await send_all(move, move.with_contents(changed), partial(_changes, move))
    settled = move.ledger.lines(COMMENT.entity, [comment.source_id for comment in comments])
    done = [
        one
        for one in page
        if all(
            comment.source_id in settled and settled[comment.source_id].digest == comment.digest
            for comment in wanted[one.key]
        )
    ]
    record(move.run, [dealt_with(one) for one in done])


def _comment(part: Mapping[str, Any], row: Record) -> Record:
    fields = forms.to_comment(
        _kind_of_owner(row),
        row.fields[_OWNER],
        forms.beginning(part),
        part.get("COMMENT"),
        files=part.get("FILES"),
    )
    action, told = "create", fields["COMMENT"]
    if part.get("LACKS_FILES"):
        action, told = _WITH_FILES, f"{told}\n{fields.get('FILES')}"
    return Record(COMMENT.entity, str(part["ID"]), action, None, fields, 0, text_digest(told))


async def _changes(move: Move, comments: Sequence[Record]) -> list[Sending]:
    """Changes of a text alone leave files as they are; told with any, the ones there go (page
    `files/how-to-update-files`)."""
    return [
        Sending(
            comment,
            COMMENT.to_update(comment.target_id or 0, move.files.filled(comment.fields)),
            dealt_with(comment, comment.target_id),
        )
        for comment in comments
    ]


def _changed(comment: Record) -> dict[str, Any]:
    names = ("COMMENT", "FILES") if comment.action == _WITH_FILES else ("COMMENT",)
    return {name: comment.fields[name] for name in names if name in comment.fields}
