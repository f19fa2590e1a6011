"""Cards that were deleted and are there after all: put back by somebody, asked for again, or joined with another card.

A card is known again by our own key, whatever number it has then; a company that somebody joined with another card by
its INN on just that one. Its line of the ledger is made anew, as of a card that we sent nothing to.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from ingest.bitrix24.answers import whole
from ingest.warehouse.connection import transaction
from ingest.warehouse.journal import utc_now
from publish import again
from publish.bitrix24.inns import Inns
from publish.bitrix24.kinds import Card, Detail
from publish.bitrix24.parts import COMPANY
from publish.bitrix24.run import Run
from publish.entries import Entry
from publish.parts import Key


async def take_back(run: Run) -> bool:
    """Take up deleted cards that are there again, and let those that `publish retry` asked for be created by this push:
    their lines of the ledger leave, those of what hung on them too, and other cards are told of them anew. Whether
    there were any."""
    rows = run.connection.execute(
        "select entity, origin_id, bitrix_id, is_wanted_again from portal_deletions order by 1, 2"
    ).fetchall()
    numbers: dict[str, dict[str, int | None]] = defaultdict(dict)
    wanted: dict[str, set[str]] = defaultdict(set)
    for entity, origin_id, number, is_wanted_again in rows:
        numbers[entity][origin_id] = number
        if is_wanted_again:
            wanted[entity].add(origin_id)
    is_any = False
    for part in run.parts:
        if part.entity in numbers and isinstance(part, Card | Detail):
            is_any |= await _take_back(run, part, numbers[part.entity], wanted[part.entity])
    return is_any


async def _take_back(run: Run, part: Card | Detail, numbers: Mapping[str, int | None], wanted: set[str]) -> bool:
    """The same for one kind: our keys -> the numbers that they had, and the keys of those that were asked for."""
    found = await part.find(run.client, sorted(numbers)) if isinstance(part, Card) else {}
    same = {key for key, number in found.items() if number == numbers[key]}
    if isinstance(part, Detail):
        same |= await _details_there(run, part, {key: numbers[key] for key in sorted(wanted)})
    moved = {key: number for key, number in found.items() if key not in same}
    again = (wanted | moved.keys()) - same
    run.ledger.take_off("deletions", [Key(part.entity, key) for key in sorted(same)])
    _forget(run, part, sorted(again))
    run.ledger.settle([Entry(part.entity, key, number, is_adopted=True) for key, number in moved.items()])
    run.ledger.take_off("deletions", [Key(part.entity, key) for key in sorted(again)])
    return bool(same or again)


async def _details_there(run: Run, part: Detail, numbers: Mapping[str, int | None]) -> set[str]:
    """Details that are there by their number and hang on what they hung on: a portal that was put back from an older
    copy gives numbers, of cards too, to others."""
    owners = run.ledger.ids(part.owner, sorted(numbers)) if part.owner else {}
    there = await part.read(run.client, sorted({number for number in numbers.values() if number is not None}))
    return {
        key
        for key, number in numbers.items()
        if number in there and key in owners and whole(there[number].get("ENTITY_ID")) == owners[key]
    }


async def take_up_joined(run: Run, gone: Mapping[Key, int]) -> set[Key]:
    """Companies among parts that are gone (with the numbers that they had) whose INN just one other card has, none of
    ours: somebody joined the two. Their lines become that card's; their keys."""
    companies = [key.origin_id for key in gone if key.entity == COMPANY.entity]
    if not companies:
        return set()
    inn_of = dict(
        run.connection.execute(
            f"select {COMPANY.key}, inn from {COMPANY.mart} where {COMPANY.key} in (select unnest(?)) and inn != ''",
            [companies],
        ).fetchall()
    )
    holders = await Inns(run.client, run.settings.inn_field).holders(set(inn_of.values()))
    cards_of = {
        origin_id: [card for card in holders.get(inn, ()) if card != gone[Key(COMPANY.entity, origin_id)]]
        for origin_id, inn in inn_of.items()
    }
    taken = run.ledger.origins(COMPANY.entity, {card for cards in cards_of.values() for card in cards})
    claims = Counter(card for cards in cards_of.values() for card in cards)
    joined = {
        origin_id: cards[0]
        for origin_id, cards in cards_of.items()
        if len(cards) == 1 and cards[0] not in taken and claims[cards[0]] == 1
    }
    _forget(run, COMPANY, sorted(joined))
    run.ledger.settle([Entry(COMPANY.entity, key, card, is_adopted=True) for key, card in joined.items()])
    if joined:
        run.note([f"{len(joined):,} companies whose cards were joined with others go on there, from the next push on"])
    return {Key(COMPANY.entity, origin_id) for origin_id in joined}


def _forget(run: Run, part: Card | Detail, origin_ids: Sequence[str]) -> None:
    """Take lines of a part out of the ledger, with those of what hung on it and of its links, and references to it."""
    these = {"portal": run.ledger.portal, "keys": list(origin_ids)}
    belongs = again.belongs_to(part, run.parts, "select unnest($keys)")
    links = "', '".join(link.entity for link in run.parts.links)
    with transaction(run.connection):
        run.connection.execute(  # ours will be there already where the portal put them on another card
            f"""insert into sync.updates_under_way
                select portal, entity, origin_id, sent, $now from sync.ledger
                where portal = $portal and entity in ('{links}') and not is_adopted and {belongs}""",
            these | {"now": utc_now()},
        )
        run.connection.execute(f"delete from sync.ledger where portal = $portal and {belongs}", these)
        for entity, field in again.referring_to(part, run.parts):
            untold = again.untold(field)
            run.connection.execute(
                f"""update sync.ledger
                    set sent = json_merge_patch(sent, {untold}), wanted = json_merge_patch(wanted, {untold})
                    where portal = $portal and entity = $entity
                        and json_extract_string(wanted, '$.{field.name}') in (select unnest($keys))""",
                these | {"entity": entity},
            )
