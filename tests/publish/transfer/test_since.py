"""How much has come in a cloud since it was read last, asked of a portal in a zone of its own."""

import asyncio
import json

from pydantic import SecretStr

from ingest import raw
from ingest.bitrix24.pacing import Pace
from ingest.bitrix24.reading import ReadingClient
from ingest.warehouse.connection import open_warehouse
from publish.sandbox import Limits, RunningSandbox
from publish.transfer.since import changed_in_cloud


class Clock:
    now = 1_790_000_000.0

    def time(self) -> float:
        self.now += 60
        return self.now


def test_what_came_a_minute_after_the_last_reading_is_counted_and_what_was_read_is_not(tmp_path):
    connection = open_warehouse(tmp_path / "svod.duckdb")
    with RunningSandbox(limits=Limits.none(), clock=Clock()) as sandbox:

        def ask(method: str, **params):
            status, body, _ = sandbox.app.state.engine.request(method, params)
            assert status == 200, body
            return body["result"]

        async def changed() -> dict[str, int]:
            async with ReadingClient(SecretStr(sandbox.webhook), Pace(0, 50, 0), variable="") as client:
                return await changed_in_cloud(connection, client, "cloud.test")

        assert asyncio.run(changed()) == {}, "nothing was ever read"
        lead = ask("crm.item.add", entityTypeId=1, fields={"title": "Прочитан"})["item"]
        table = raw.raw_table(connection, "cloud__leads", "Leads.")
        local = lead["updatedTime"][:19]  # as it lands: the portal's own time, without its zone
        connection.execute(
            f"insert into {table} values (?, ?, ?, '1', 'run', now()::timestamp)",
            [json.dumps(lead), str(lead["id"]), local],
        )
        connection.execute(
            """insert into ops.snapshots (source, snapshot_id, portal, label, started_at, completed_at)
               values ('cloud', 1, 'cloud.test', '', now()::timestamp, now()::timestamp)"""
        )
        assert asyncio.run(changed()) == {}
        ask("crm.item.add", entityTypeId=1, fields={"title": "Новый"})
        ask("crm.item.add", entityTypeId=2, fields={"title": "Сделок никто не читал"})
        assert asyncio.run(changed()) == {"lead": 1}
    connection.close()
