"""Parts of ours that somebody deleted in the portal, told from those that the webhook's user may no longer read.

Room `unlisted` tells the two apart. An address has no `get` and no rights of its own.

Deleting a card was a manager's decision: it is not made again by itself, nor what would hang on it; it is listed, and
`publish retry` makes it again. A company's card that was joined with another is not deleted: it is that other one now.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ingest.bitrix24.client import Command
from ingest.bitrix24.pacing import BATCH, PAGE
from ingest.warehouse.journal import utc_now
from publish import portals
from publish.again import with_owners
from publish.bitrix24 import returning
from publish.bitrix24.kinds import Card, CardLink, Detail
from publish.bitrix24.links import companions
from publish.bitrix24.run import Run
from publish.bitrix24.unlisted import fates
from publish.parts import Key, decoded

_PAGE = BATCH * PAGE
_DENIED = "the webhook's user may no longer read it, or what it belongs to"


class Refused(NamedTuple):
    """A dead letter, and what it needs in the portal: itself, what it hangs on, the cards it is linked or refers to."""

    key: Key
    needs: list[Key]


async def tell_deleted(run: Run) -> None:
    """Look for the reason of what was refused, now or by a push that did not come to this: a part that it needs may
    have been deleted.

    Then that part is remembered as deleted, or its line becomes that of the card that it was joined with, and the dead
    letter leaves; where the user may no longer read it, the dead letter says so.
    """
    began_at = utc_now()
    rows = run.connection.execute(
        "select entity, origin_id, wanted::varchar from portal_dead_letters where not isinf(next_at) order by 1, 2"
    ).fetchall()
    for at in range(0, len(rows), _PAGE):
        page = rows[at : at + _PAGE]
        travelling = _travelling(run, [Key(entity, key) for entity, key, _ in page])
        refused = [
            Refused(key, [*_needs(run, key, wanted), *travelling.get(key, [])])
            for key, wanted in ((Key(entity, origin_id), wanted) for entity, origin_id, wanted in page)
        ]
        there = _ids(run, (key for letter in refused for key in letter.needs))
        deleted, denied = await _missing(run, there)
        gone = {key: there[key] for key in _topmost(run, deleted)}
        joined = await returning.take_up_joined(run, gone)
        run.ledger.mark_deleted({key: number for key, number in gone.items() if key not in joined})
        run.ledger.take_off("dead_letters", [letter.key for letter in refused if deleted.intersection(letter.needs)])
        _explain(run, [letter.key for letter in refused if denied.intersection(letter.needs)])
    portals.set_deletions_told(run.connection, run.ledger.portal, began_at)


async def tell_absent(run: Run) -> None:
    """Remember as deleted the cards that a look at all that the portal holds did not find: with others that somebody
    deletes later they would look like what an older copy lacks.

    Only a few: of more, not each was asked for (room `unlisted`)."""
    rows = run.connection.execute(
        """select entity, origin_id, bitrix_id from looked_for inner join portal_held using (entity, origin_id)
           where state = 'absent' and bitrix_id is not null and entity in (select unnest(?::varchar[]))""",
        [[card.entity for card in run.parts.cards]],
    ).fetchall()
    gone = {Key(entity, origin_id): number for entity, origin_id, number in rows}
    if len(gone) <= BATCH:
        joined = await returning.take_up_joined(run, gone)
        run.ledger.mark_deleted({key: number for key, number in gone.items() if key not in joined})


def _needs(run: Run, key: Key, wanted: str) -> Iterator[Key]:
    if key.entity not in {part.entity for part in run.parts}:
        return
    part = run.parts[key.entity]
    if isinstance(part, CardLink):
        holder, _, other = key.origin_id.partition("/")
        yield Key(part.holder.entity, holder)
        yield Key(part.other.entity, other)
        return
    for entity in with_owners(part, run.parts):
        yield Key(entity, key.origin_id)
    values = decoded(wanted)
    for field in part.references:
        if values.get(field.name):
            yield Key(field.refers_to, values[field.name])


def _travelling(run: Run, keys: Sequence[Key]) -> dict[Key, list[Key]]:
    """The cards that new cards were to be linked to."""
    needed: dict[Key, list[Key]] = {}
    for link in run.parts.links:
        holders = [key.origin_id for key in keys if key.entity == link.holder.entity]
        for holder, others in companions(run, link, holders).items():
            needed[Key(link.holder.entity, holder)] = [Key(link.other.entity, other.origin_id) for other in others]
    return needed


def _ids(run: Run, keys: Iterable[Key]) -> dict[Key, int]:
    """Portal ids of those parts that the ledger holds."""
    by_entity: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        by_entity[key.entity].add(key.origin_id)
    return {
        Key(entity, origin_id): bitrix_id
        for entity, origin_ids in by_entity.items()
        for origin_id, bitrix_id in run.ledger.ids(entity, origin_ids).items()
    }


async def _missing(run: Run, ids: Mapping[Key, int]) -> tuple[set[Key], set[Key]]:
    """Parts that are no longer there, and those that may not be read."""
    unlisted: list[Key] = []
    for entity in dict.fromkeys(key.entity for key in ids):
        part = run.parts[entity]
        if isinstance(part, Card | Detail):
            keys = [key for key in ids if key.entity == entity]
            listed = await part.read(run.client, sorted({ids[key] for key in keys}))
            unlisted += [key for key in keys if ids[key] not in listed]
    asked = {key: command for key in unlisted if (command := _get(run, key, ids[key])) is not None}
    told = dict(zip(asked, await fates(run.client, list(asked.values())), strict=True))
    deleted = {key for key, fate in told.items() if fate == "gone"}
    denied = {key for key, fate in told.items() if fate == "denied"}
    for key in set(unlisted).difference(asked):  # it is as readable as what it hangs on
        owners = {Key(entity, key.origin_id) for entity in with_owners(run.parts[key.entity], run.parts)[1:]}
        if not denied.intersection(owners):
            deleted.add(key)
    return deleted, denied


def _get(run: Run, key: Key, bitrix_id: int) -> Command | None:
    part = run.parts[key.entity]
    return part.to_get(bitrix_id) if isinstance(part, Card | Detail) else None


def _topmost(run: Run, deleted: set[Key]) -> Iterator[Key]:
    """Deleted parts without those that went with what they hung on."""
    for key in deleted:
        owners = {Key(entity, key.origin_id) for entity in with_owners(run.parts[key.entity], run.parts)[1:]}
        if not deleted.intersection(owners):
            yield key


def _explain(run: Run, keys: Sequence[Key]) -> None:
    run.connection.execute(
        """update sync.dead_letters as letter set error = 'ACCESS_DENIED', error_description = ?
           from (select unnest(?) as entity, unnest(?) as origin_id) as denied
           where letter.portal = ? and letter.entity = denied.entity and letter.origin_id = denied.origin_id""",
        [_DENIED, [key.entity for key in keys], [key.origin_id for key in keys], run.ledger.portal],
    )
