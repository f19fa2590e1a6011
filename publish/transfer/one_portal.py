"""Are the two portals one, by two names? Looked at before anything is written: cards that the two readings tell
differently, which of two portals stay different, are asked for once more. Page `crm/universal/crm-item-list`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from ingest.bitrix24.answers import rows_of
from ingest.bitrix24.client import Client, Command
from ingest.bitrix24.reading import Read, ReadingClient, ReadMethod
from publish.transfer.kinds import CARD_TYPES, MARK

_LISTS = {"companies": "company", "contacts": "contact", "leads": "lead", "deals": "deal"}
_MOST = 50  # of a kind: a page

Sample = Mapping[str, Sequence[int]]


def told_differently(connection: duckdb.DuckDBPyConnection) -> Sample | None:
    """Cards of the cloud, by kind, that the box lacks or has otherwise, by the newest readings, the newest first and
    not all of them; none where the portals are the same to the last card. None where there is no card."""
    rows = connection.execute(
        """select cloud.entity, try_cast(cloud.source_key as bigint) as number, box.source_key is null as is_different
           from ops.snapshot_keys as cloud
           left join ops.snapshot_keys as box
               on box.source = 'box' and box.to_snapshot is null and box.entity = cloud.entity
               and box.source_key = cloud.source_key and box.digest = cloud.digest
           where cloud.source = 'cloud' and cloud.to_snapshot is null and cloud.entity in (select unnest(?))
           qualify row_number() over (partition by cloud.entity order by is_different desc, number desc) <= ?""",
        [list(_LISTS), _MOST],
    ).fetchall()
    if not rows:
        return None
    return {
        kind: numbers
        for name, kind in _LISTS.items()
        if (numbers := [number for entity, number, is_different in rows if entity == name and is_different])
    }


async def are_one(cloud: ReadingClient, box: Client, sample: Sample) -> bool:
    """Whether both tell of all these cards the same by now."""
    asked = [
        {
            "entityTypeId": CARD_TYPES[kind],
            "filter": {"@id": list(numbers)},
            "select": ["*"],
            "useOriginalUfNames": "Y",
            "start": -1,
        }
        for kind, numbers in sample.items()
    ]
    of_cloud, of_box = await asyncio.gather(
        cloud.read([Read(ReadMethod.ITEMS, params) for params in asked]),
        box.read([Command(ReadMethod.ITEMS.value, params) for params in asked]),
    )
    pairs = zip(of_cloud, of_box, strict=True)
    return all(_cards(answer.result) == _cards(told) != [] for answer, told in pairs)


def _cards(answer: Any) -> list[dict[str, Any]]:
    rows = rows_of(ReadMethod.ITEMS.value, answer)
    return sorted(({name: row[name] for name in row if name != MARK} for row in rows), key=lambda row: int(row["id"]))
