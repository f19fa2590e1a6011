"""How much has come in the cloud since it was read last, by a few counting calls: enough to forecast, nothing decides
by it. Pages `crm/universal/crm-item-list` (`>updatedTime`), `crm/timeline/activities/activity-base/crm-activity-list`.
"""

from typing import Any

import duckdb

from ingest.bitrix24.reading import Read, ReadingClient, ReadMethod
from publish.transfer.kinds import ACTIVITY, CARD_TYPES

_TABLES = {"company": "companies", "contact": "contacts", "lead": "leads", "deal": "deals"}


async def changed_in_cloud(connection: duckdb.DuckDBPyConnection, client: ReadingClient, cloud: str) -> dict[str, int]:
    """Cards that are new or changed since the last reading of this cloud, and new activities, by kind; nothing of a
    kind that was never read."""
    reads: dict[str, Read] = {}
    for kind, type_id in CARD_TYPES.items():
        # As the portal tells it, with its zone, which source_at has not.
        if newest := _newest(connection, _TABLES[kind], "arg_max(payload ->> '$.updatedTime', source_at)", cloud):
            asked = {"entityTypeId": type_id, "filter": {">updatedTime": newest}, "select": ["id"], "start": 0}
            reads[kind] = Read(ReadMethod.ITEMS, asked)
    if (highest := _newest(connection, "activities", "max(source_key::bigint)", cloud)) is not None:
        asked = {"filter": {">ID": highest}, "select": ["ID"], "start": 0}
        reads[ACTIVITY.entity] = Read(ReadMethod.ACTIVITIES, asked)
    answers = await client.read([*reads.values()])
    return {kind: answer.total for kind, answer in zip(reads, answers, strict=True) if answer.total}


def _newest(connection: duckdb.DuckDBPyConnection, table: str, what: str, cloud: str) -> Any:
    try:
        row = connection.execute(
            f"""select {what} from raw.cloud__{table}
                where try_cast(source_position as bigint) in (
                    select snapshot_id from ops.snapshots where source = 'cloud' and portal = ?)""",
            [cloud],
        ).fetchone()
    except duckdb.CatalogException:
        return None
    return row[0] if row else None
