"""Parts of ours that somebody deleted in the portal, told from those that the webhook's user may no longer read.

Lists leave out both (page `universal/crm-item-list`); only the `get` of each tells: NOT_FOUND or "is not found", and
ACCESS_DENIED or "Access denied" (pages `universal/crm-item-get`, `requisites/universal/crm-requisite-get`,
`requisites/bank-detail/crm-requisite-bank-detail-get`). An address has no `get` and no rights of its own.

Deleting a card was a manager's decision: it is not made again by itself, nor what would hang on it; it is listed, and
`publish retry` makes it again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ingest.bitrix24.client import Command, Outcome
from ingest.bitrix24.pacing import BATCH, PAGE
from ingest.warehouse.connection import transaction
from publish.bitrix24.kinds import Card, CardLink, Detail
from publish.bitrix24.links import companions
from publish.bitrix24.recovery import by_origin
from publish.bitrix24.run import Run
from publish.entries import Entry
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

    Then that part is remembered as deleted and the dead letter leaves; where the user may no longer read it, the dead
    letter says so.
    """
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
        run.ledger.mark_deleted({key: there[key] for key in _topmost(run, deleted)})
        run.ledger.take_off("dead_letters", [letter.key for letter in refused if deleted.intersection(letter.needs)])
        _explain(run, [letter.key for letter in refused if denied.intersection(letter.needs)])


def _needs(run: Run, key: Key, wanted: str) -> Iterator[Key]:
    if key.entity not in {part.entity for part in run.parts}:
        return
    part = run.parts[key.entity]
    if isinstance(part, CardLink):
        holder, _, other = key.origin_id.partition("/")
        yield Key(part.holder.entity, holder)
        yield Key(part.other.entity, other)
        return
    for entity in _with_owners(run, key.entity):
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


def _with_owners(run: Run, entity: str) -> list[str]:
    """An entity, what it hangs on, and so on up to the card."""
    chain = [entity]
    while owner := run.parts[chain[-1]].owner:
        chain.append(owner)
    return chain


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
    deleted: set[Key] = set()
    denied: set[Key] = set()
    asked = {key: command for key in unlisted if (command := _get(run, key, ids[key])) is not None}
    for at in range(0, len(asked), BATCH):
        commands = dict(list(asked.items())[at : at + BATCH])
        for key, outcome in zip(commands, await run.client.send(list(commands.values())), strict=True):
            if _is_gone(outcome):
                deleted.add(key)
            elif outcome.is_known and outcome.error is not None:
                denied.add(key)
    for key in set(unlisted).difference(asked):  # it is as readable as what it hangs on
        owners = {Key(entity, key.origin_id) for entity in _with_owners(run, key.entity)[1:]}
        if not denied.intersection(owners):
            deleted.add(key)
    return deleted, denied


def _get(run: Run, key: Key, bitrix_id: int) -> Command | None:
    part = run.parts[key.entity]
    return part.to_get(bitrix_id) if isinstance(part, Card | Detail) else None


def _is_gone(outcome: Outcome) -> bool:
    error = outcome.error
    return error is not None and (error.code.upper() == "NOT_FOUND" or "is not found" in error.description)


def _topmost(run: Run, deleted: set[Key]) -> Iterator[Key]:
    """Deleted parts without those that went with what they hung on."""
    for key in deleted:
        owners = {Key(entity, key.origin_id) for entity in _with_owners(run, key.entity)[1:]}
        if not deleted.intersection(owners):
            yield key


def _explain(run: Run, keys: Sequence[Key]) -> None:
    run.connection.execute(
        """update sync.dead_letters as letter set error = 'ACCESS_DENIED', error_description = ?
           from (select unnest(?) as entity, unnest(?) as origin_id) as denied
           where letter.portal = ? and letter.entity = denied.entity and letter.origin_id = denied.origin_id""",
        [_DENIED, [key.entity for key in keys], [key.origin_id for key in keys], run.ledger.portal],
    )


# What is wanted again -------------------------------------------------------------------------------------------------


async def make_way(run: Run) -> None:
    """Let parts that `publish retry` asked for be created by this push: their lines of the ledger leave, those of what
    hung on them too, and other cards are told of them anew.

    A card that was put back meanwhile, known by its number or by our own key, is taken up instead.
    """
    rows = run.connection.execute(
        """select entity, list(origin_id order by origin_id), list(bitrix_id order by origin_id)
           from portal_deletions where is_wanted_again group by 1 order by 1"""
    ).fetchall()
    for entity, origin_ids, bitrix_ids in rows:
        if entity not in {part.entity for part in run.parts}:
            continue
        part = run.parts[entity]
        if not isinstance(part, Card | Detail):
            continue
        numbers = dict(zip(origin_ids, bitrix_ids, strict=True))
        there = await part.read(run.client, sorted({number for number in numbers.values() if number is not None}))
        same = [key for key, number in numbers.items() if number in there]
        others = [key for key in origin_ids if key not in same]
        found = await by_origin(run.client, part, others) if isinstance(part, Card) and others else {}
        run.ledger.take_off("deletions", [Key(entity, key) for key in same])
        _forget(run, part, others)
        run.ledger.settle([Entry(entity, key, number, is_adopted=True) for key, number in found.items()])
        run.ledger.take_off("deletions", [Key(entity, key) for key in others])


def _forget(run: Run, part: Card | Detail, origin_ids: Sequence[str]) -> None:
    """Take lines of a part out of the ledger, with those of what hung on it and of its links, and references to it."""
    portal, keys = run.ledger.portal, list(origin_ids)
    hanging = [part.entity, *(detail.entity for detail in run.parts.details_on([part.entity]))]
    with transaction(run.connection):
        run.connection.execute(
            """delete from sync.ledger
               where portal = ? and entity in (select unnest(?)) and origin_id in (select unnest(?))""",
            [portal, hanging, keys],
        )
        for link in run.parts.links:
            for place, end in enumerate((link.holder, link.other), start=1):
                if end.entity == part.entity:
                    run.connection.execute(
                        f"""delete from sync.ledger where portal = ? and entity = ?
                            and split_part(origin_id, '/', {place}) in (select unnest(?))""",
                        [portal, link.entity, keys],
                    )
        for other in run.parts:
            for field in other.references:
                if field.refers_to == part.entity:
                    untold = f"""'{{"{field.name}": null}}'"""
                    run.connection.execute(
                        f"""update sync.ledger
                            set sent = json_merge_patch(sent, {untold}), wanted = json_merge_patch(wanted, {untold})
                            where portal = ? and entity = ?
                                and json_extract_string(wanted, '$.{field.name}') in (select unnest(?))""",
                        [portal, other.entity, keys],
                    )
