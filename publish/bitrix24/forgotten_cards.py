"""Deletes or empties the cards of forgotten people, those that are still ours, and looks whether it came to pass.

Methods `crm.item.delete` and `crm.item.update`, pages `universal/crm-item-delete`, `crm-item-update`. A deleted card
waits in the portal's recycle bin, where the portal keeps one; activities and files of a card that was emptied stay.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ingest.bitrix24.client import Client, Command, Outcome
from ingest.bitrix24.pacing import BATCH
from publish.bitrix24.kinds import ORIGINATOR, Card
from publish.parts import ValueChange

Treatment = Literal["delete", "empty"]
# What became of a card: somebody deleted it before; its number or key is not ours any more; the portal refused.
State = Literal["deleted", "emptied", "gone", "not ours", "refused"]
NOBODY = "Данные удалены"  # a contact needs a name
_ATTEMPTS = 6
# Of the card's own fields, those that people type about a person (page `universal/object-fields`, contact).
_TYPED = ("name", "secondName", "post", "comments", "birthdate", "sourceDescription", "photo", "address")


async def treat(client: Client, card: Card, treatment: Treatment, ours: Mapping[int, str]) -> dict[int, State]:
    """Delete or empty cards, portal id -> our key; the state of each that is known at the end.

    Raises PortalRefused and PortalUnavailable as the client does; done twice, it does no harm.
    """
    states: dict[int, State] = {}
    for _ in range(_ATTEMPTS):
        todo = [number for number in ours if number not in states]
        if not todo:
            break
        there = await card.read(client, sorted(todo))
        for number in todo:
            if number not in there:
                states[number] = "gone"
            elif not _is_ours(there[number], ours[number]):
                states[number] = "not ours"
            elif treatment == "empty" and _is_empty(card, there[number]):
                states[number] = "emptied"
        remaining = [number for number in todo if number not in states]
        for at in range(0, len(remaining), BATCH):
            page = remaining[at : at + BATCH]
            commands = [_command(card, treatment, number, there[number]) for number in page]
            for number, outcome in zip(page, await client.send(commands), strict=True):
                if state := _state(treatment, outcome):
                    states[number] = state
    if treatment == "delete" and states:  # an answer is not yet a fact
        still = await card.read(client, sorted(number for number, state in states.items() if state == "deleted"))
        for number in still:
            del states[number]
    return states


def _is_ours(row: Mapping[str, Any], origin_id: str) -> bool:
    return row.get("originatorId") == ORIGINATOR and str(row.get("originId")) == origin_id


def _is_empty(card: Card, row: Mapping[str, Any]) -> bool:
    multiple = [field.name for field in card.fields if field.is_multiple]
    return row.get("lastName") == NOBODY and not any(row.get(name) for name in (*_TYPED, *multiple))


def _command(card: Card, treatment: Treatment, number: int, row: Mapping[str, Any]) -> Command:
    if treatment == "delete":
        return Command("crm.item.delete", {"entityTypeId": card.type_id, "id": number})
    values = [
        ValueChange(field.name, value_id, None)
        for field in card.fields
        if field.is_multiple
        for value_id in row.get(field.name, {})
    ]
    typed = {name: "" for name in _TYPED if row.get(name)}
    return card.to_update(number, {"lastName": NOBODY, **typed}, values)


def _state(treatment: Treatment, outcome: Outcome) -> State | None:
    """None where it has to be looked again: the answer was lost, or the card was emptied and is to be seen so."""
    if outcome.is_done:
        return "deleted" if treatment == "delete" else None
    if outcome.error is not None and "not found" in outcome.error.description.lower():
        return "gone"
    return "refused" if outcome.is_refused else None


def wanted_states(cards: Sequence[Mapping[str, Any]], portal: str, treatment: Treatment) -> dict[int, str]:
    """Of an act's cards those of a portal that wait for this treatment: portal id -> our key."""
    return {
        card["bitrix_id"]: card["origin_id"]
        for card in cards
        if card["portal"] == portal and card["state"] == f"to {treatment}"
    }
