"""What people do in a portal between pushes: strangers' cards, companies typed in, fields edited, cards deleted.

`People` remembers what is theirs, so that all else can be compared with the marts.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from publish.sandbox import Portal
from tests.publish.marts import Apart

COMPANY, CONTACT, DEAL = 4, 3, 2
ENTITIES = {"company": COMPANY, "contact": CONTACT, "deal": DEAL}


@dataclass
class People:
    """What is there of strangers, card by card, as the portal shows it; and what of ours people took as theirs."""

    strangers: dict[tuple[str, int], Any] = field(default_factory=dict)
    apart: Apart = field(default_factory=Apart)
    typed: int = 0

    def changed_strangers(self, portal: Portal) -> list[str]:
        """Cards of strangers that are not as they left them."""
        there = strangers(portal)
        return [
            f"a stranger's {entity} {card}: {was} became {there.get((entity, card))}"
            for (entity, card), was in self.strangers.items()
            if there.get((entity, card)) != was
        ]


def strangers(portal: Portal) -> dict[tuple[str, int], Any]:
    """Every card without our key, with what hangs on it."""
    hanging: dict[int, list[Any]] = defaultdict(list)
    for row in (*portal.bank_details(), *portal.addresses()):
        hanging[row["ENTITY_ID"]].append(row)
    requisites: dict[int, list[Any]] = defaultdict(list)
    for row in portal.requisites():
        requisites[row["ENTITY_ID"]] += [row, *hanging[row["ID"]]]
    return {
        (entity, card["id"]): (card, requisites[card["id"]] if entity == "company" else [])
        for entity in ENTITIES
        for card in portal.items(entity)
        if card["originatorId"] != "svod"
    }


class Managers:
    """People at work in one portal: each method is a thing they do, some of it to a card chosen by the dice."""

    def __init__(self, people: People, portal: Portal, client: httpx.Client, dice: random.Random) -> None:
        self._people, self._portal, self._client, self._dice = people, portal, client, dice

    def call(self, method: str, params: Mapping[str, Any]) -> Any:
        answer = self._client.post(method, json=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def type_in_strangers(self, number: int) -> None:
        """Companies with a requisite, people and deals that are nobody's of ours."""
        people = self._people
        for _ in range(number):
            people.typed += 1
            name = f"Чужой {people.typed}"
            company = self._add(COMPANY, {"title": name})
            inn = f"99{people.typed:08}"
            fields = {"ENTITY_TYPE_ID": COMPANY, "ENTITY_ID": company, "PRESET_ID": 1, "NAME": name, "RQ_INN": inn}
            self.call("crm.requisite.add", {"fields": fields})
            phone = {"n0": {"typeId": "PHONE", "valueType": "WORK", "value": f"+7812{people.typed:07}"}}
            contact = self._add(CONTACT, {"name": name, "companyId": company, "fm": phone})
            self._add(DEAL, {"title": name, "companyId": company, "contactId": contact, "opportunity": 1})
        self._remember_strangers()

    def type_in_company(self, inn: str) -> None:
        """A company whose INN the sources will bring: it becomes ours, and keeps its name."""
        card = self._add(COMPANY, {"title": f"Как у нас записано {inn}"})
        spelled = self._dice.choice((inn, f"{inn[:4]} {inn[4:]}", f"ИНН {inn}"))
        fields = {"ENTITY_TYPE_ID": COMPANY, "ENTITY_ID": card, "PRESET_ID": 1, "NAME": "Реквизит", "RQ_INN": spelled}
        self.call("crm.requisite.add", {"fields": fields})
        self._people.apart.typed_inns.add(inn)

    def edit(self) -> str:
        """Something on a card of ours, which is theirs from then on; what it was, '' where there is no card."""
        deeds = (
            self._edit_title,
            self._edit_amount,
            self._add_phone,
            self._take_phone,
            self._edit_address,
            self._unlink,
        )
        return self._dice.choice(deeds)()

    def delete(self) -> str:
        """Delete a card of ours; its entity, '' where there is none."""
        entity = self._dice.choice(sorted(ENTITIES))
        card = self._any(entity)
        if card is None:
            return ""
        self.call("crm.item.delete", {"entityTypeId": ENTITIES[entity], "id": card["id"]})
        self._people.apart.cards.add((entity, card["originId"]))
        return f"{entity} deleted"

    def _edit_title(self) -> str:
        if (card := self._any("company")) is None:
            return ""
        self._update(COMPANY, card, {"title": f"{card['title']} (наш)"})
        self._people.apart.fields.add(("title", card["originId"]))
        return "title edited"

    def _edit_amount(self) -> str:
        if (card := self._any("deal")) is None:
            return ""
        self._update(DEAL, card, {"opportunity": 7})
        self._people.apart.fields.add(("deal", card["originId"]))
        return "amount edited"

    def _add_phone(self) -> str:
        if (card := self._any("contact")) is None:
            return ""
        self._people.typed += 1
        phone = f"+7843{self._people.typed:07}"
        self._update(CONTACT, card, {"fm": {"n0": {"typeId": "PHONE", "valueType": "WORK", "value": phone}}})
        self._people.apart.values.add(phone)
        return "phone added"

    def _take_phone(self) -> str:
        card = self._any("contact")
        if card is None or not card["fm"]:
            return ""
        entry = self._dice.choice(card["fm"])
        self._update(CONTACT, card, {"fm": {str(entry["id"]): {"typeId": entry["typeId"], "value": ""}}})
        self._people.apart.fields.add(("phone or e-mail", card["originId"]))
        return "phone taken away"

    def _edit_address(self) -> str:
        owners = {row["ID"]: row["ENTITY_ID"] for row in self._portal.requisites()}
        keys = {
            card["id"]: card["originId"] for card in self._portal.items("company") if card["originatorId"] == "svod"
        }
        ours = [row for row in self._portal.addresses() if owners.get(row["ENTITY_ID"]) in keys]
        if not ours:
            return ""
        row = self._dice.choice(ours)
        fields = {name: row[name] for name in ("TYPE_ID", "ENTITY_TYPE_ID", "ENTITY_ID")}
        self.call("crm.address.update", {"fields": {**fields, "ADDRESS_1": f"{row['ADDRESS_1']}, вход со двора"}})
        self._people.apart.fields.add(("address", keys[owners[row["ENTITY_ID"]]]))
        return "address edited"

    def _unlink(self) -> str:
        card = self._any("contact")
        if card is None or not card["companyIds"]:
            return ""
        company = self._dice.choice(card["companyIds"])
        self.call("crm.contact.company.delete", {"id": card["id"], "fields": {"COMPANY_ID": company}})
        self._people.apart.fields.add(("link", card["originId"]))
        return "link taken away"

    def _add(self, entity_type: int, fields: Mapping[str, Any]) -> int:
        return int(self.call("crm.item.add", {"entityTypeId": entity_type, "fields": fields})["item"]["id"])

    def _update(self, entity_type: int, card: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
        self.call("crm.item.update", {"entityTypeId": entity_type, "id": card["id"], "fields": fields})

    def _any(self, entity: str) -> Mapping[str, Any] | None:
        ours = self._ours(entity)
        return self._dice.choice(ours) if ours else None

    def _ours(self, entity: str) -> Sequence[Mapping[str, Any]]:
        return [card for card in self._portal.items(entity) if card["originatorId"] == "svod"]

    def _remember_strangers(self) -> None:
        for key, shown in strangers(self._portal).items():
            if "Чужой" in str(shown[0].get("title") or shown[0].get("name")):
                self._people.strangers.setdefault(key, shown)
