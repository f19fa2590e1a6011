"""Cards that are in the portal already: our own that the ledger lost, and those that managers typed in before us.

They are taken into the ledger as cards we never sent anything to. Companies are known by the INN of their requisite,
people by a phone or e-mail among the people of an adopted company.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from publish.bitrix24.client import Command, list_by, rows_of
from publish.bitrix24.kinds import ORIGINATOR
from publish.bitrix24.parts import COMPANY, COMPANY_CONTACT, CONTACT, REQUISITE
from publish.bitrix24.recovery import by_origin, executed
from publish.bitrix24.run import Run
from publish.ledger import Duplicates, Entry, Intent
from publish.parts import decoded, same_value

_PAGE = 2500  # look-ups that fit one request: 50 commands of 50 values


async def adopt(run: Run) -> dict[str, set[str]]:
    """Look for the cards that the plan would create, and adopt them; records, by entity, that several could be."""
    await _own_cards(run)
    duplicates = await _companies(run) + await _contacts(run)
    blocked: dict[str, set[str]] = defaultdict(set)
    for listed in duplicates:
        blocked[listed.entity].add(listed.origin_id)
    return blocked


def _take(run: Run, entity: str, ids: Mapping[str, int]) -> None:
    """Take parts of the portal into the ledger: origin id -> id."""
    run.ledger.settle([Entry(entity, origin_id, bitrix_id, is_adopted=True) for origin_id, bitrix_id in ids.items()])
    run.result.adopted += len(ids)


def _pages(run: Run, sql: str) -> Iterator[list[Any]]:
    rows = run.connection.execute(sql).fetchall()
    for at in range(0, len(rows), _PAGE):
        yield rows[at : at + _PAGE]


# Cards of our own -----------------------------------------------------------------------------------------------------


async def _own_cards(run: Run) -> None:
    """Cards with our own key of kinds that the ledger knows none of: the warehouse was lost or put back from a copy."""
    published = run.ledger.published()
    unknown = [card for card in run.parts.cards if not published.get(card.entity)]
    if not unknown:
        return
    commands = [
        Command(
            "crm.item.list",
            {
                "entityTypeId": card.type_id,
                "filter": {"originatorId": ORIGINATOR},
                "select": ["id"],
                "order": {"id": "ASC"},
                "start": -1,
            },
        )
        for card in unknown
    ]
    for card, answer in zip(unknown, await run.client.read(commands), strict=True):
        if rows_of(answer):
            for page in _pages(run, f"select origin_id from plan_{card.entity} where action = 'create' order by 1"):
                _take(run, card.entity, await by_origin(run.client, card, [origin_id for (origin_id,) in page]))


# Companies ------------------------------------------------------------------------------------------------------------


class WithInn(NamedTuple):
    """A company that the plan would create, and its INN."""

    inn: str
    origin_id: str


async def _companies(run: Run) -> list[Duplicates]:
    """Companies by INN over all requisites. Two cards with one INN are for a person to sort out."""
    duplicates: list[Duplicates] = []
    sql = f"""
        select wanted ->> '$.RQ_INN' as inn, origin_id from plan_{REQUISITE.entity}
        where action = 'create' and origin_id not in (
            select origin_id from portal_ledger where entity = '{COMPANY.entity}' and not is_adopted)
        order by 2"""
    for page in _pages(run, sql):
        wanted = [WithInn(*row) for row in page]
        # A zero in front is lost where somebody pasted a number from a spreadsheet.
        as_entered = {
            form: company.origin_id
            for company in wanted
            for form in dict.fromkeys((company.inn, company.inn.removeprefix("0")))
        }
        listed = await list_by(
            run.client,
            REQUISITE.listing,
            "RQ_INN",
            list(as_entered),
            where=REQUISITE.constants,
            select=["ID", "ENTITY_ID", "RQ_INN"],
        )
        cards: dict[str, dict[int, int]] = defaultdict(dict)  # company -> card -> requisite, the oldest of each card
        for row in sorted(listed, key=lambda row: -int(row["ID"])):
            # A database that compares texts without the spaces behind them answers with those spaces.
            cards[as_entered[str(row["RQ_INN"]).strip()]][int(row["ENTITY_ID"])] = int(row["ID"])
        requisites, unclear = _take_companies(run, cards, {company.origin_id: company.inn for company in wanted})
        duplicates += unclear
        await _take_details(run, requisites)
    return duplicates


def _take_companies(
    run: Run, cards_of: Mapping[str, Mapping[int, int]], inns: Mapping[str, str]
) -> tuple[dict[str, int], list[Duplicates]]:
    """Adopt companies, or list them; requisites adopted, by company, and what was listed."""
    known = run.ledger.ids(COMPANY.entity, cards_of)
    taken = run.ledger.origins(COMPANY.entity, [card for cards in cards_of.values() for card in cards])
    companies: dict[str, int] = {}
    requisites: dict[str, int] = {}
    duplicates: list[Duplicates] = []
    for origin_id, cards in cards_of.items():
        # A card that the ledger knows under another key is that company's, also when it has left.
        free = {card: requisite for card, requisite in cards.items() if taken.get(card, origin_id) == origin_id}
        if origin_id in known:
            free = {card: requisite for card, requisite in free.items() if card == known[origin_id]}
        elif len(cards) > 1 or not free:
            duplicates.append(Duplicates(COMPANY.entity, origin_id, f"RQ_INN {inns[origin_id]}", sorted(cards)))
            continue
        for card, requisite in list(free.items())[:1]:
            companies[origin_id], requisites[origin_id] = card, requisite
    _take(run, COMPANY.entity, {key: card for key, card in companies.items() if key not in known})
    _take(run, REQUISITE.entity, requisites)
    run.ledger.list_duplicates(duplicates)
    return requisites, duplicates


async def _take_details(run: Run, requisites: Mapping[str, int]) -> None:
    """Adopt what hangs on adopted requisites already: bank details, addresses."""
    for detail in run.parts.details_on([REQUISITE.entity]):
        rows = run.connection.execute(
            f"select origin_id, wanted from plan_{detail.entity} where origin_id in (select unnest(?))",
            [list(requisites)],
        ).fetchall()
        intents = [Intent(detail.entity, key, wanted, requisites[key]) for key, wanted in rows]
        there = await executed(run.client, run.parts, intents)
        _take(run, detail.entity, {e.origin_id: e.bitrix_id for e in there if e.bitrix_id is not None})


# People ---------------------------------------------------------------------------------------------------------------


class Candidate(NamedTuple):
    """A person that the plan would create, and the adopted company's card to look at."""

    company_card: int
    origin_id: str
    wanted: str


async def _contacts(run: Run) -> list[Duplicates]:
    """Contacts by phone or e-mail among the people of adopted companies."""
    duplicates: list[Duplicates] = []
    sql = f"""
        select company.bitrix_id, plan.origin_id, plan.wanted from plan_{CONTACT.entity} as plan
        inner join {COMPANY_CONTACT.mart} as link on link.{CONTACT.key} = plan.origin_id
        inner join portal_held as company on company.entity = '{COMPANY.entity}'
            and company.origin_id = link.{COMPANY.key} and company.is_adopted
        where plan.action = 'create'
            and plan.origin_id not in (select origin_id from portal_ledger where entity = '{CONTACT.entity}')
        order by 1, 2"""
    for page in _pages(run, sql):
        candidates = [Candidate(*row) for row in page]
        people = await _people_of(run, sorted({candidate.company_card for candidate in candidates}))
        cards: dict[str, set[int]] = defaultdict(set)
        found_by: dict[str, str] = {}
        for candidate in candidates:
            wanted = decoded(candidate.wanted)
            for field in CONTACT.fields:
                for value in wanted.get(field.name) or [] if field.is_multiple else []:
                    form = (field.name, same_value(field.kind, value))
                    matches = people[candidate.company_card].get(form, set())
                    cards[candidate.origin_id] |= matches
                    if matches:
                        found_by.setdefault(candidate.origin_id, field.name)
        duplicates += _take_contacts(run, {key: ids for key, ids in cards.items() if ids}, found_by)
    return duplicates


def _take_contacts(run: Run, cards_of: Mapping[str, set[int]], found_by: Mapping[str, str]) -> list[Duplicates]:
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
    _take(run, CONTACT.entity, sole)
    run.ledger.list_duplicates(duplicates)
    return duplicates


async def _people_of(run: Run, companies: Sequence[int]) -> dict[int, dict[tuple[str, str], set[int]]]:
    """Company card -> (PHONE or EMAIL, value) -> contact cards."""
    companies = sorted(await COMPANY.read(run.client, companies))  # a deleted one would be an error
    commands = [Command("crm.company.contact.items.get", {"id": company}) for company in companies]
    linked: dict[int, set[int]] = defaultdict(set)
    for company, answer in zip(companies, await run.client.read(commands), strict=True):
        for row in rows_of(answer):
            linked[int(row["CONTACT_ID"])].add(company)
    where = {"entityTypeId": CONTACT.type_id, "select": ["*"]}
    rows = await list_by(run.client, "crm.item.list", "id", sorted(linked), where={}, **where)
    kinds = {field.name: field.kind for field in CONTACT.fields if field.is_multiple}
    people: dict[int, dict[tuple[str, str], set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        for entry in row.get("fm") or []:
            type_id = str(entry["typeId"])
            form = (type_id, same_value(kinds.get(type_id, "text"), str(entry["value"])))
            for company in linked[int(row["id"])]:
                people[company][form].add(int(row["id"]))
    return people
