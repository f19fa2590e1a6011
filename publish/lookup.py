"""What the portal holds already: outcomes of creates whose answer was lost, and cards that managers typed in before us.

There is no idempotency key and nothing is unique in the portal (page `requisites/universal/crm-requisite-add`), so a
create is repeated only when a look-up by its own key finds nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb

from publish import mapping
from publish.ledger import Held, Intent, Ledger
from publish.mapping import CARDS, ORIGINATOR, PARTS, canonical, decoded, same_value
from publish.portal import Command, Portal, list_by, rows_of

_PAGE = 2500  # look-ups that fit one request: 50 commands of 50 values


async def executed(portal: Portal, intents: Sequence[Intent]) -> list[Held]:
    """Those of the intended creates that the portal holds, with the links that travelled with them."""
    by_entity: dict[str, list[Intent]] = defaultdict(list)
    for intent in intents:
        by_entity[intent.entity].append(intent)
    found: list[Held] = []
    for entity, group in by_entity.items():
        if not PARTS[entity].type_id:
            found += await _parts(portal, entity, group)
            continue
        ids = await by_origin(portal, entity, [intent.origin_id for intent in group])
        for intent in group:
            if intent.origin_id in ids:
                found += held_with_links(intent, ids[intent.origin_id])
    return found


def held_with_links(intent: Intent, bitrix_id: int) -> list[Held]:
    """The ledger rows of a create that succeeded."""
    links = [
        Held(mapping.LINK.entity, f"{intent.origin_id}/{company}", bitrix_id, "{}", "{}") for company in intent.links
    ]
    return [Held(intent.entity, intent.origin_id, bitrix_id, intent.wanted, intent.wanted), *links]


async def by_origin(portal: Portal, entity: str, origin_ids: Sequence[str]) -> dict[str, int]:
    """Cards by our own key; the oldest where somebody copied one."""
    rows = await list_by(
        portal,
        "crm.item.list",
        "originId",
        origin_ids,
        where={"originatorId": ORIGINATOR},
        entityTypeId=PARTS[entity].type_id,
        select=["id", "originId"],
    )
    return {str(row["originId"]): int(row["id"]) for row in sorted(rows, key=lambda row: -int(row["id"]))}


_LISTS: Mapping[str, tuple[str, Mapping[str, Any], tuple[str, ...]]] = {
    "requisite": ("crm.requisite.list", {"ENTITY_TYPE_ID": 4}, ("RQ_INN",)),
    "bank_detail": ("crm.requisite.bankdetail.list", {}, ("RQ_ACC_NUM", "RQ_BIK")),
    "address": (
        "crm.address.list",
        {"ENTITY_TYPE_ID": mapping.REQUISITE_TYPE_ID, "TYPE_ID": mapping.LEGAL_ADDRESS_TYPE},
        (),
    ),
}


async def _parts(portal: Portal, entity: str, intents: Sequence[Intent]) -> list[Held]:
    """Parts by the card they hang on and the fields that tell them apart; an address is its owner's only one of a type,
    so that one with another text is a manager's."""
    method, where, telling = _LISTS[entity]
    owners = sorted({intent.owner_id for intent in intents if intent.owner_id is not None})
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in await list_by(portal, method, "ENTITY_ID", owners, where=where):
        rows.setdefault((int(row["ENTITY_ID"]), *_texts(row, telling)), row)
    found = []
    for intent in intents:
        wanted = decoded(intent.wanted)
        row = rows.get((intent.owner_id, *_texts(wanted, telling)))
        if row is None:
            continue
        is_ours = entity != "address" or _texts(row, ("ADDRESS_1",)) == _texts(wanted, ("ADDRESS_1",))
        part_id = int(row["ENTITY_ID"] if entity == "address" else row["ID"])
        known = intent.wanted if is_ours else "{}"
        found.append(Held(entity, intent.origin_id, part_id, known, known, not is_ours))
    return found


def _texts(row: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(canonical("text", row.get(name)) for name in names)


class Adoption:
    """Takes cards that are in the portal already into the ledger, as cards we never sent anything to."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, ledger: Ledger, portal: Portal) -> None:
        self.connection, self.ledger, self.portal = connection, ledger, portal
        self.blocked: dict[str, set[str]] = {"company": set(), "contact": set(), "deal": set()}
        self.adopted = 0

    async def run(self) -> int:
        """Look for the cards that the plan would create; how many were found and adopted."""
        await self._own_cards()
        await self._companies()
        await self._contacts()
        return self.adopted

    def _pages(self, sql: str, *params: Any) -> Iterable[list[tuple]]:
        rows = self.connection.execute(sql, list(params)).fetchall()
        for at in range(0, len(rows), _PAGE):
            yield rows[at : at + _PAGE]

    def _adopt(self, entity: str, found: Mapping[str, int], *, is_adopted: bool) -> None:
        self.ledger.settle([Held(entity, key, found[key], "{}", "{}", is_adopted) for key in found])
        self.adopted += len(found)

    async def _own_cards(self) -> None:
        """Cards with our own key that the ledger does not know: the warehouse was lost or put back from a copy."""
        unknown = [part for part in CARDS if not self._count(part.entity)]
        if not unknown:
            return
        answers = await self.portal.read(
            [
                Command(
                    "crm.item.list",
                    {
                        "entityTypeId": part.type_id,
                        "filter": {"originatorId": ORIGINATOR},
                        "select": ["id"],
                        "order": {"id": "ASC"},
                        "start": -1,
                    },
                )
                for part in unknown
            ]
        )
        for part, answer in zip(unknown, answers, strict=True):
            if rows_of(answer):
                sql = f"select origin_id from plan_{part.entity} where action = 'create' order by 1"
                for rows in self._pages(sql):
                    found = await by_origin(self.portal, part.entity, [row[0] for row in rows])
                    self._adopt(part.entity, found, is_adopted=True)

    def _count(self, entity: str) -> int:
        return self.connection.execute("select count(*) from sync.ledger where entity = ?", [entity]).fetchone()[0]

    async def _companies(self) -> None:
        """Companies by INN over all requisites. Two cards with one INN are for a person to sort out."""
        sql = """select wanted ->> '$.RQ_INN' as inn, origin_id from plan_requisite where action = 'create'
                 and origin_id not in (select origin_id from sync.ledger where entity = 'company' and not is_adopted)
                 order by 2"""
        for rows in self._pages(sql):
            # A zero in front is lost where somebody pasted a number from a spreadsheet.
            typed = {form: origin_id for inn, origin_id in rows for form in {inn, inn.removeprefix("0")}}
            listed = await list_by(
                self.portal,
                "crm.requisite.list",
                "RQ_INN",
                list(typed),
                where={"ENTITY_TYPE_ID": 4},
                select=["ID", "ENTITY_ID", "RQ_INN"],
            )
            held: dict[str, dict[int, int]] = defaultdict(dict)
            for row in sorted(listed, key=lambda row: -int(row["ID"])):
                # A database that compares texts without the spaces behind them answers with those spaces.
                held[typed[str(row["RQ_INN"]).strip()]][int(row["ENTITY_ID"])] = int(row["ID"])
            requisites = self._take_companies(held, {origin: inn for inn, origin in rows})
            await self._details(requisites)

    def _take_companies(self, held: Mapping[str, Mapping[int, int]], inns: Mapping[str, str]) -> dict[str, int]:
        """Adopt or list companies; requisites adopted, by company."""
        known = self.ledger.ids("company", list(held))
        taken = self._holders([card for cards in held.values() for card in cards])
        found, requisites, doubles = {}, {}, []
        for origin_id, cards in held.items():
            # A card that the ledger knows under another key is that company's, also when it has left.
            mine = {card: requisite for card, requisite in cards.items() if taken.get(card, origin_id) == origin_id}
            if origin_id in known:
                mine = {card: requisite for card, requisite in mine.items() if card == known[origin_id]}
            if (len(cards) > 1 and origin_id not in known) or not mine:
                if origin_id not in known:
                    doubles.append(("company", origin_id, f"RQ_INN {inns[origin_id]}", sorted(cards)))
                continue
            card, requisite = next(iter(mine.items()))
            found[origin_id], requisites[origin_id] = card, requisite
        self._adopt("company", {key: card for key, card in found.items() if key not in known}, is_adopted=True)
        self._adopt("requisite", requisites, is_adopted=True)
        self._list(doubles)
        return requisites

    async def _details(self, requisites: Mapping[str, int]) -> None:
        """The bank detail and the address that adopted requisites have already."""
        intents = [
            Intent(entity, origin_id, wanted, requisites[origin_id])
            for entity in ("bank_detail", "address")
            for origin_id, wanted in self.connection.execute(
                f"select origin_id, wanted from plan_{entity} where origin_id in (select unnest(?))", [list(requisites)]
            ).fetchall()
        ]
        for entity in ("bank_detail", "address"):
            there = await executed(self.portal, [intent for intent in intents if intent.entity == entity])
            self._adopt(entity, {held.origin_id: held.bitrix_id for held in there}, is_adopted=True)

    def _holders(self, cards: Sequence[int]) -> dict[int, str]:
        rows = self.connection.execute(
            "select bitrix_id, origin_id from sync.ledger where entity = 'company' and bitrix_id in (select unnest(?))",
            [list(cards)],
        ).fetchall()
        return dict(rows)

    async def _contacts(self) -> None:
        """Contacts by phone or e-mail among the people of adopted companies."""
        sql = """
            select held.bitrix_id, plan.origin_id, plan.wanted from plan_contact as plan
            inner join marts.crm_company_contacts as link on link.contact_id = plan.origin_id
            inner join sync.ledger as held
                on held.entity = 'company' and held.origin_id = link.company_id and held.is_adopted
            where plan.action = 'create'
                and plan.origin_id not in (select origin_id from sync.ledger where entity = 'contact')
            order by 1, 2"""
        for rows in self._pages(sql):
            people = await self._people_of(sorted({row[0] for row in rows}))
            found: dict[str, set[int]] = defaultdict(set)
            by: dict[str, str] = {}
            for company, origin_id, wanted in rows:
                for type_id in mapping.MULTIFIELDS:
                    for value in decoded(wanted).get(type_id) or []:
                        matches = people[company].get((type_id, same_value(type_id, value)), set())
                        found[origin_id] |= matches
                        by.setdefault(origin_id, type_id) if matches else None
            self._take_contacts({key: ids for key, ids in found.items() if ids}, by)

    def _take_contacts(self, found: Mapping[str, set[int]], by: Mapping[str, str]) -> None:
        claims: dict[int, list[str]] = defaultdict(list)
        for origin_id, ids in found.items():
            for one in ids:
                claims[one].append(origin_id)
        sole, doubles = {}, []
        for origin_id, ids in found.items():
            # A shared phone makes several of our people look like one card: then it is none of them for sure.
            if len(ids) == 1 and all(len(claims[one]) == 1 for one in ids):
                sole[origin_id] = next(iter(ids))
            elif len(ids) > 1:
                doubles.append(("contact", origin_id, by[origin_id], sorted(ids)))
        self._adopt("contact", sole, is_adopted=True)
        self._list(doubles)

    async def _people_of(self, companies: Sequence[int]) -> dict[int, dict[tuple[str, str], set[int]]]:
        """Company card -> (PHONE or EMAIL, value) -> contact cards."""
        commands = [Command("crm.company.contact.items.get", {"id": one}) for one in companies]
        linked: dict[int, set[int]] = defaultdict(set)
        for company, answer in zip(companies, await self.portal.read(commands), strict=True):
            for row in rows_of(answer):
                linked[int(row["CONTACT_ID"])].add(company)
        cards = await list_by(
            self.portal, "crm.item.list", "id", sorted(linked), where={}, entityTypeId=3, select=["*"]
        )
        found: dict[int, dict[tuple[str, str], set[int]]] = defaultdict(lambda: defaultdict(set))
        for card in cards:
            for one in card.get("fm") or []:
                key = (str(one["typeId"]), same_value(str(one["typeId"]), str(one["value"])))
                for company in linked[int(card["id"])]:
                    found[company][key].add(int(card["id"]))
        return found

    def _list(self, doubles: Sequence[tuple[str, str, str, list[int]]]) -> None:
        self.ledger.doubles(doubles)
        for entity, origin_id, _, _ in doubles:
            self.blocked[entity].add(origin_id)
