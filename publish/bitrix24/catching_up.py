"""Cards with our own key that the ledger does not know: the warehouse was lost, put back from a copy, or is another.

They are taken into the ledger as cards we never sent anything to, before anything is created. Their numbers grow with
every create (the portal's database gives them), so what a ledger has missed lies above the highest number it holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.bitrix24.answers import number_of, rows_of
from ingest.bitrix24.client import Client, Command
from ingest.bitrix24.pacing import BATCH, PAGE
from publish.bitrix24.kinds import ITEMS, Card
from publish.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers of cards to look through: above one, up to another."""

    above: int
    until: int

    @property
    def width(self) -> int:
        return self.until - self.above

    def halves(self) -> list["Range"]:
        middle = self.above + self.width // 2
        return [Range(self.above, middle), Range(middle, self.until)]


async def catch_up(client: Client, ledger: Ledger, cards: Sequence[Card], above: Mapping[str, int]) -> int:
    """Take our own cards above these numbers (0 where a kind has none) into the ledger; how many it did not know.

    All of a kind are taken in at once: were the highest kept and a run killed before the others, they would lie below
    the highest number that the next run knows, and be created again.
    """
    first = await client.read([_page(card, Range(above.get(card.entity, 0), 0)) for card in cards])
    taken = 0
    for card, answer in zip(cards, first, strict=True):
        rows = rows_of(ITEMS, answer)
        if len(rows) == PAGE:
            rows += await _rest(client, card, _number(rows[-1]))
        oldest: dict[str, int] = {}  # where somebody copied a card of ours
        for number, key in sorted((_number(row), key) for row in rows if (key := card.known_by.of(row))):
            oldest.setdefault(key, number)
        taken += ledger.take_in(card.entity, oldest)
    return taken


async def _rest(client: Client, card: Card, above: int) -> list[dict[str, Any]]:
    """Our cards above a number, fifty ranges of numbers a request; the widest are halved until there are so many."""
    (last,) = await client.read([_last(card)])
    highest = max((_number(row) for row in rows_of(ITEMS, last)), default=above)
    rows: list[dict[str, Any]] = []
    ranges = [Range(above, highest)] if highest > above else []
    while ranges:
        while len(ranges) < BATCH and (widest := max(ranges, key=lambda todo: todo.width)).width > PAGE:
            ranges.remove(widest)
            ranges += widest.halves()
        turn, ranges = ranges[:BATCH], ranges[BATCH:]
        answers = await client.read([_page(card, todo) for todo in turn])
        for todo, answer in zip(turn, answers, strict=True):
            page = rows_of(ITEMS, answer)
            rows += page
            if len(page) == PAGE and _number(page[-1]) < todo.until:
                ranges.append(Range(_number(page[-1]), todo.until))
    return rows


def _page(card: Card, todo: Range) -> Command:
    """A page of our cards by number (page `settings/performance/huge-data`); `until` 0 is no end."""
    until = {"<=id": todo.until} if todo.until else {}
    where = {**card.known_by.where, ">id": todo.above, **until}
    return Command(ITEMS, _listing(card, where, "ASC"))


def _last(card: Card) -> Command:
    return Command(ITEMS, _listing(card, card.known_by.where, "DESC"))


def _number(row: Mapping[str, Any]) -> int:
    return number_of(ITEMS, row, "id")


def _listing(card: Card, where: Mapping[str, object], direction: str) -> dict[str, object]:
    return {
        "entityTypeId": card.type_id,
        "filter": where,
        "select": card.known_by.selected,
        "order": {"id": direction},
        "start": -1,
    }
