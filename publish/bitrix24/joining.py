"""Merges of cards that a push began and whose end nobody saw."""

from ingest.bitrix24.client import Client
from publish.bitrix24.kinds import Catalogue
from publish.bitrix24.unlisted import fates
from publish.ledger import Ledger
from publish.parts import Key


def leaving_with(parts: Catalogue, key: Key) -> list[Key]:
    """A card that was joined with another, and what hung on it: ours no longer."""
    hanging = [detail.entity for detail in parts.details_on([key.entity])]
    return [Key(entity, key.origin_id) for entity in (key.entity, *hanging)]


async def end_merges(ledger: Ledger, client: Client, parts: Catalogue) -> None:
    """Settle merges whose answer nobody saw: a card that is gone was joined, and what hung on it has moved. One that is
    there is as it was begun with."""
    for card in parts.cards:
        rows = ledger.connection.execute(
            """select line.origin_id, line.bitrix_id from portal_merges_under_way
               inner join portal_ledger as line using (entity, origin_id) where entity = ? order by 1""",
            [card.entity],
        ).fetchall()
        told = await fates(client, [card.to_get(number) for _, number in rows])
        gone = [Key(card.entity, key) for (key, _), fate in zip(rows, told, strict=True) if fate == "gone"]
        if gone:
            ledger.settle(gone=[part for key in gone for part in leaving_with(parts, key)])
