"""Cards that are in the portal already: those that managers typed in before us, and what hangs on cards of ours.

They are taken into the ledger as cards we never sent anything to. Companies are known by the INN of their requisite,
people by a phone or e-mail among the people of an adopted company. A card of ours whose key no mart knows is known
again in the same way, at any company.
"""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ingest.bitrix24.answers import entries_of, number_of, rows_of
from ingest.bitrix24.client import Command, list_by
from publish.bitrix24.inns import Found, Inns
from publish.bitrix24.kinds import Card, Detail
from publish.bitrix24.parts import COMPANY, COMPANY_CONTACT, CONTACT, REQUISITE
from publish.bitrix24.recovery import executed
from publish.bitrix24.run import Run
from publish.entries import Duplicates, Entry, Intent
from publish.parts import Key, decoded, same_value

_PAGE = 2500  # look-ups that fit one request: 50 commands of 50 values
_NAME = "lastName"
_AMONG_OTHERS = ", among other numbers: leave just this one there, or take it away"


async def adopt(run: Run, inns: Inns) -> dict[str, set[str]]:
    """Look for the cards that the plan would create, and adopt them; records, by entity, that several could be."""
    duplicates = [*await _companies(run, inns), *await _sole_requisites(run), *await _contacts(run)]
    await _details(run)
    blocked: dict[str, set[str]] = defaultdict(set)
    for listed in duplicates:
        blocked[listed.entity].add(listed.origin_id)
    return blocked


def _take(run: Run, entity: str, ids: Mapping[str, int], stale: Mapping[int, str] | None = None) -> None:
    """Take parts of the portal into the ledger: origin id -> id. A line that it has under a stale key leaves."""
    entries = [Entry(entity, origin_id, bitrix_id, is_adopted=True) for origin_id, bitrix_id in ids.items()]
    run.ledger.settle(entries, gone=[Key(entity, stale[card]) for card in ids.values() if stale and card in stale])
    run.result.adopted += len(ids)


def _stale(run: Run, card: Card) -> dict[int, str]:
    """Cards that were taken in by keys that no mart knows, card -> key: an older warehouse may have given the record
    another one since, where its records came in another order."""
    if not card.departed:
        return {}
    rows = run.connection.execute(
        f"""select bitrix_id, origin_id from portal_held
            where entity = '{card.entity}' and is_adopted and sent::varchar = '{{}}' and bitrix_id is not null
                and origin_id not in (select {card.key} from {card.mart})
                and origin_id not in (select {card.key} from {card.departed.mart})"""
    ).fetchall()
    return dict(rows)


def _pages(run: Run, sql: str) -> Iterator[list[Any]]:
    rows = run.connection.execute(sql).fetchall()
    for at in range(0, len(rows), _PAGE):
        yield rows[at : at + _PAGE]


# Companies ------------------------------------------------------------------------------------------------------------


async def _companies(run: Run, inns: Inns) -> list[Duplicates]:
    """Companies by INN. Two cards with one INN are for a person to sort out."""
    inn_of = dict(
        run.connection.execute(
            f"""select origin_id, wanted ->> '$.RQ_INN' from plan_{REQUISITE.entity}
                where action = 'create' and (wanted ->> '$.RQ_INN') is not null order by 1"""
        ).fetchall()
    )
    found = await inns.found(set(inn_of.values()))
    cards_of = {origin_id: found[inn] for origin_id, inn in inn_of.items() if inn in found}
    return _take_companies(run, cards_of, inn_of)


def _take_companies(run: Run, found: Mapping[str, Found], inns: Mapping[str, str]) -> list[Duplicates]:
    """Adopt companies with their requisites, or list them; what was listed. A card whose text could mean several INNs
    is nobody's for sure: who looks at it knows whether a new one is to be made."""
    cards_of = {origin_id: cards.holders for origin_id, cards in found.items()}
    known = run.ledger.ids(COMPANY.entity, cards_of)
    stale = _stale(run, COMPANY)
    taken = run.ledger.origins(COMPANY.entity, {card for cards in cards_of.values() for card in cards} - stale.keys())
    claims = Counter(card for origin_id, cards in cards_of.items() if origin_id not in known for card in cards)
    companies: dict[str, int] = {}
    requisites: dict[str, int] = {}
    duplicates: list[Duplicates] = []
    for origin_id, cards in cards_of.items():
        if origin_id in known:
            free = [card for card in cards if card == known[origin_id]]
        else:
            # A card that the ledger knows under another key is that company's, also when it has left; one with the
            # requisites of several companies is none of them for sure.
            free = [card for card in cards if card not in taken and claims[card] == 1]
            mentions = found[origin_id].mentions
            if len(cards) > 1 or not free or mentions:
                text = f"RQ_INN {inns[origin_id]}" + (_AMONG_OTHERS if mentions else "")
                duplicates.append(Duplicates(COMPANY.entity, origin_id, text, sorted(cards.keys() | mentions)))
                continue
        for card in free:
            companies[origin_id], requisite = card, cards[card]
            if requisite is not None:  # else the card's own field told the INN, and the requisite is still to be made
                requisites[origin_id] = requisite
    _take(run, COMPANY.entity, {key: card for key, card in companies.items() if key not in known}, stale)
    _take(run, REQUISITE.entity, requisites)
    run.ledger.list_duplicates(duplicates)
    return duplicates


async def _sole_requisites(run: Run) -> list[Duplicates]:
    """The requisite of a company that the ledger knows, where no requisite of its card has the INN: a card has one, so
    its only one is that, whatever INN it was given. Several are for a person to sort out."""
    sql = f"""
        select company.bitrix_id, plan.origin_id from plan_{REQUISITE.entity} as plan
        inner join portal_held as company
            on company.entity = '{COMPANY.entity}' and company.origin_id = plan.origin_id
        where plan.action = 'create'
            and plan.origin_id not in (select origin_id from portal_ledger where entity = '{REQUISITE.entity}')
        order by 1"""
    duplicates: list[Duplicates] = []
    for page in _pages(run, sql):
        of_card = dict(page)
        there: dict[int, list[int]] = defaultdict(list)
        for row in await list_by(
            run.client, REQUISITE.listing, "ENTITY_ID", sorted(of_card), where=REQUISITE.constants
        ):
            there[number_of(REQUISITE.listing, row, "ENTITY_ID")].append(number_of(REQUISITE.listing, row, "ID"))
        _take(run, REQUISITE.entity, {of_card[card]: ids[0] for card, ids in there.items() if len(ids) == 1})
        duplicates += [
            Duplicates(
                REQUISITE.entity,
                of_card[card],
                f"requisites {', '.join(map(str, sorted(ids)))} of the company card, none with the INN",
                [card],
            )
            for card, ids in there.items()
            if len(ids) > 1
        ]
    run.ledger.list_duplicates(duplicates)
    return duplicates


async def _details(run: Run) -> None:
    """What hangs on requisites of the ledger already, adopted ones and ours: bank details, addresses.

    Nothing is unique there: a bank detail added beside an equal one would be there twice. One that is as we sent it
    before is ours still: the ledger lost it with an older copy, which the portal shows no longer.
    """
    for detail in run.parts.details_on([REQUISITE.entity]):
        sql = f"""
            select plan.origin_id, plan.wanted, owner.bitrix_id from plan_{detail.entity} as plan
            inner join portal_ledger as owner
                on owner.entity = '{detail.owner}' and owner.origin_id = plan.origin_id
            where plan.action = 'create' order by 1"""
        for page in _pages(run, sql):
            intents = [Intent(detail.entity, *row) for row in page]
            there = {entry.origin_id: entry for entry in await executed(run.client, run.parts, intents)}
            # What is there, if anything, is not as it is wanted.
            others = [i for i in intents if i.origin_id not in there or there[i.origin_id].is_adopted]
            ours = await _as_sent_before(run, detail, others)
            _take(
                run,
                detail.entity,
                {key: e.bitrix_id for key, e in there.items() if key not in ours and e.bitrix_id is not None},
            )
            run.ledger.settle(list(ours.values()))
            run.result.adopted += len(ours)


async def _as_sent_before(run: Run, detail: Detail, wanted: Sequence[Intent]) -> dict[str, Entry]:
    """Lines of those that are there as they were, or may have been, sent at some time before."""
    keys = [intent.origin_id for intent in wanted]
    newer, older = run.ledger.updates_under_way(detail.entity, keys), run.ledger.versions(detail.entity, keys)
    earlier = [
        dataclasses.replace(intent, wanted=version)
        for intent in wanted
        for version in (*newer.get(intent.origin_id, ()), *older.get(intent.origin_id, ()))
        if decoded(version)
    ]
    there = await executed(run.client, run.parts, earlier)
    return {
        entry.origin_id: dataclasses.replace(entry, wanted="{}") for entry in reversed(there) if not entry.is_adopted
    }


# People ---------------------------------------------------------------------------------------------------------------


class Candidate(NamedTuple):
    """A person that the plan would create, and the company's card to look at. `is_open`: the company was adopted, so
    that any of its people may be that person; of others only those whose key is stale."""

    company_card: int
    origin_id: str
    wanted: str
    is_open: bool


async def _contacts(run: Run) -> list[Duplicates]:
    """Contacts by phone or e-mail among the people of adopted companies; of all companies before any is adopted, for
    one person works at several, and several people share a phone."""
    cards: dict[str, Counter[int]] = defaultdict(Counter)
    found_by: dict[str, str] = {}
    stale = _stale(run, CONTACT)
    sql = f"""
        select company.bitrix_id, plan.origin_id, plan.wanted, company.is_adopted from plan_{CONTACT.entity} as plan
        inner join {COMPANY_CONTACT.mart} as link on link.{CONTACT.key} = plan.origin_id
        inner join portal_held as company on company.entity = '{COMPANY.entity}'
            and company.origin_id = link.{COMPANY.key} and (company.is_adopted or {bool(stale)})
        where plan.action = 'create'
            and plan.origin_id not in (select origin_id from portal_ledger where entity = '{CONTACT.entity}')
        order by 1, 2"""
    for page in _pages(run, sql):
        candidates = [Candidate(*row) for row in page]
        people = await _people_of(run, sorted({candidate.company_card for candidate in candidates}))
        for candidate in candidates:
            wanted, known = decoded(candidate.wanted), people[candidate.company_card]
            for field in CONTACT.fields:
                for value in wanted.get(field.name) or [] if field.is_multiple else []:
                    matches = known.get((field.name, same_value(field.kind, value)), set())
                    matches = matches if candidate.is_open else matches & stale.keys()
                    cards[candidate.origin_id].update(matches)
                    if matches:
                        found_by.setdefault(candidate.origin_id, field.name)
            for card in (
                known.get((_NAME, str(wanted.get(_NAME)).casefold()), set()) & cards[candidate.origin_id].keys()
            ):
                cards[candidate.origin_id][card] += 1
    return _take_contacts(run, {key: ids for key, ids in cards.items() if ids}, found_by, stale)


def _take_contacts(
    run: Run, found: Mapping[str, Counter[int]], found_by: Mapping[str, str], stale: Mapping[int, str]
) -> list[Duplicates]:
    # A card that the ledger knows is another person's of ours, who has that phone or e-mail too.
    taken = run.ledger.origins(CONTACT.entity, {card for cards in found.values() for card in cards} - stale.keys())
    cards_of = {origin_id: _likeliest(cards, stale) - taken.keys() for origin_id, cards in found.items()}
    claims: dict[int, list[str]] = defaultdict(list)
    for origin_id, cards in cards_of.items():
        for card in cards:
            claims[card].append(origin_id)
    # A shared phone makes several of our people look like one card: then it is none of them for sure.
    sole = {
        origin_id: next(iter(cards))
        for origin_id, cards in cards_of.items()
        if len(cards) == 1 and all(len(claims[card]) == 1 for card in cards)
    }
    duplicates = [
        Duplicates(CONTACT.entity, origin_id, found_by[origin_id], sorted(cards))
        for origin_id, cards in cards_of.items()
        if len(cards) > 1
    ]
    _take(run, CONTACT.entity, sole, stale)
    run.ledger.list_duplicates(duplicates)
    return duplicates


def _likeliest(cards: Counter[int], stale: Mapping[int, str]) -> set[int]:
    """Of cards of ours, which may share an office's phone, those that have most in common; of others any."""
    most = max(cards.values())
    return {card for card, number in cards.items() if card not in stale or number == most}


async def _people_of(run: Run, companies: Sequence[int]) -> dict[int, dict[tuple[str, str], set[int]]]:
    """Company card -> (PHONE or EMAIL or the last name's field, value) -> contact cards."""
    companies = sorted(await COMPANY.read(run.client, companies))  # a deleted one would be an error
    commands = [Command("crm.company.contact.items.get", {"id": company}) for company in companies]
    linked: dict[int, set[int]] = defaultdict(set)
    for company, answer in zip(companies, await run.client.read(commands), strict=True):
        for row in rows_of("crm.company.contact.items.get", answer):
            linked[number_of("crm.company.contact.items.get", row, "CONTACT_ID")].add(company)
    where = {"entityTypeId": CONTACT.type_id, "select": ["*"]}
    rows = await list_by(run.client, "crm.item.list", "id", sorted(linked), where={}, **where)
    kinds = {field.name: field.kind for field in CONTACT.fields if field.is_multiple}
    people: dict[int, dict[tuple[str, str], set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        card = number_of("crm.item.list", row, "id")
        for company in linked[card]:
            people[company][_NAME, str(row.get(_NAME)).casefold()].add(card)
        for entry in entries_of("crm.item.list", row.get("fm")):
            type_id = str(entry["typeId"])
            form = (type_id, same_value(kinds.get(type_id, "text"), str(entry["value"])))
            for company in linked[card]:
                people[company][form].add(card)
    return people
