"""The forecast after a rehearsal, and what a final run then takes: real landing, models and push, on a clock that jumps
over every wait; the cloud has the limits of the standard plan, and both portals take as long as they say they work."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from pydantic import SecretStr

from ingest.bitrix24.client import Client
from ingest.bitrix24.pacing import Pace
from ingest.bitrix24.reading import ReadingClient
from ingest.portal.landing import BURST, OPERATING
from ingest.portal.snapshots import Snapshot
from ingest.portal.source import Reading
from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from publish.bitrix24.run import Silent
from publish.sandbox import Limits, create_app
from publish.sandbox.methods import METHODS
from publish.settings import Settings
from publish.transfer import baseline, forecast, since, stages
from publish.transfer import push as pushes
from publish.transfer.command import dates_file
from publish.transfer.ledger import TransferLedger
from publish.transfer.one_portal import Sample
from publish.transfer.push import push
from publish.transfer.stage import Word
from publish.transfer.stopwatch import Stopwatch
from tests.installation import COMPILED, ROOT
from tests.publish.conftest import JumpingClock

HOSTS = {"cloud": "cloud.test", "box": "box.test"}
TYPES = {"company": 4, "contact": 3, "lead": 1, "deal": 2}
MODELS_S = 0.002  # seconds that the models are said to take a record


class Working(httpx.AsyncBaseTransport):
    """A portal that takes as long for an answer as it says that it has worked."""

    def __init__(self, app: Any, clock: JumpingClock) -> None:
        self._app, self._clock, self._transport = app, clock, httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        engine = self._app.state.engine
        line = self._app.state.portal.request_log()[-1]
        self._app.state.portal.clear_log()
        for name, number in line["commands"].items():
            await self._clock.sleep(number * engine.meter.cost(name, METHODS[name.lower()].writes))
        return response


class Accelerated:
    """The steps of a stage in this process: what a test does with them takes seconds, on their clock hours."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.folder = JumpingClock(), folder
        self.changed: list[dict[str, int]] = []
        self.apps = {"cloud": create_app(folder / "cloud.sqlite", clock=self.clock)}
        self.settings = Settings(
            _env_file=None,
            warehouse=folder / "svod.duckdb",
            **{f"{name}_webhook": f"https://{host}/rest/1/sandbox/" for name, host in HOSTS.items()},
        )

    def restore(self, number: int) -> None:
        """Another box is what the cloud is now."""
        state = self.folder / f"box-{number}.sqlite"
        self.apps["cloud"].state.portal.copy_to(state)
        self.apps["box"] = create_app(state, limits=Limits.none(), clock=self.clock)

    def ask(self, method: str, **params: Any) -> Any:
        status, body, _ = self.apps["cloud"].state.engine.request(method, params)
        assert status == 200, body
        return body["result"]

    def passes(self, **time: float) -> None:
        self.clock.start += timedelta(**time).total_seconds()

    def work(self, leads: int, changes: int) -> None:
        """A day of it in the cloud."""
        for number in range(leads):
            self.passes(hours=12 / leads)
            self.ask("crm.item.add", entityTypeId=1, fields={"title": f"Заявка {number}"})
        for number in range(changes):
            self.passes(hours=12 / changes)
            title = {"title": f"Иначе {number} {self.clock.start}"}
            self.ask("crm.item.update", entityTypeId=2, id=1 + 3 * number, fields=title)

    # ----- steps

    def land(self, portal: str, label: str, *, anew: bool) -> int:
        connection = open_warehouse(self.settings.warehouse)
        with journal.step(connection, journal.INGEST_BITRIX24):
            self.clock.run(self._land(connection, [portal] if portal else list(HOSTS), label))
        connection.close()
        return 0

    async def _land(self, connection: duckdb.DuckDBPyConnection, names: list[str], label: str) -> None:
        async def one(name: str) -> None:
            pace = Pace(2, BURST, OPERATING, self.clock) if name == "cloud" else Pace(0, BURST, 0, self.clock)
            webhook = getattr(self.settings, f"{name}_webhook")
            transport = Working(self.apps[name], self.clock)
            async with ReadingClient(webhook, pace, variable="", transport=transport) as client:
                await Reading(client, Snapshot(connection, name, HOSTS[name], label)).run("test")

        await asyncio.gather(*(one(name) for name in names))

    def build(self) -> int:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SVOD_", "DBT_"))}
        environment |= {"SVOD_WAREHOUSE": str(self.settings.warehouse), "SVOD_ENV_FILE": os.devnull}
        environment |= {"DBT_TARGET_PATH": str(ROOT / COMPILED), "DBT_LOG_PATH": str(self.folder)}
        command = [sys.executable, "dbt_project/passes.py", "transfer"]
        built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stdout
        connection = open_warehouse(self.settings.warehouse)
        self.passes(seconds=MODELS_S * forecast.records_there(connection, forecast.PORTALS))
        connection.close()
        return 0

    def push(self, *, automation_is_off: bool) -> int:
        connection = open_warehouse(self.settings.warehouse)
        ledger = TransferLedger(connection, HOSTS["box"], HOSTS["cloud"])
        with journal.step(connection, journal.TRANSFER_PUSH) as step:
            progress = Stopwatch(Silent(), self.clock.time)
            word = pushes.Word(automation_is_off)
            result = self._in_box(
                lambda client: push(ledger, client, self.settings, dates_file(self.settings), progress, word)
            )
            step.detail["kinds"] = progress.kinds
            step.rows_out = sum(result.created.values()) + sum(result.updated.values())
        connection.close()
        return 4 if result.dead_letters_now else 0

    def box_mark(self) -> str | None:
        return self._in_box(baseline.mark_of)

    def cloud_mark(self) -> str | None:
        return None

    def changed_in_cloud(self) -> dict[str, int]:
        connection = open_warehouse(self.settings.warehouse)

        async def ask() -> dict[str, int]:
            transport = Working(self.apps["cloud"], self.clock)
            async with ReadingClient(
                self.settings.cloud_webhook, Pace(2, BURST, OPERATING, self.clock), variable="", transport=transport
            ) as client:
                return await since.changed_in_cloud(connection, client, HOSTS["cloud"])

        changed = self.clock.run(ask())
        connection.close()
        self.changed.append(changed)
        return changed

    def are_one(self, sample: Sample) -> bool:
        return False

    def has_user(self, user_id: int) -> bool:
        return True

    def notice_unseen(self) -> str:
        return ""

    def put_mark(self) -> None:
        connection = open_warehouse(self.settings.warehouse)
        ledger = TransferLedger(connection, HOSTS["box"], HOSTS["cloud"])
        self._in_box(lambda client: baseline.put_mark(ledger, client, self.settings))
        connection.close()

    def take_mark_off(self) -> None:
        return None

    def hand_over(self) -> list[str]:
        return []

    def time(self) -> float:
        return self.clock.time()

    def _in_box(self, work: Any) -> Any:
        async def with_client() -> Any:
            transport = Working(self.apps["box"], self.clock)
            webhook = SecretStr(self.settings.box_webhook.get_secret_value())
            async with Client(webhook, Pace(0, BURST, 0, self.clock), transport=transport) as client:
                return await work(client)

        return self.clock.run(with_client())


@pytest.fixture
def move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accelerated:
    monkeypatch.setenv("SVOD_ENV_FILE", os.devnull)
    move = Accelerated(tmp_path)

    def now() -> datetime:
        return datetime.fromtimestamp(move.clock.time(), UTC).replace(tzinfo=None)

    for module in ("ingest.portal.snapshots", "publish.transfer.forecast"):
        monkeypatch.setattr(f"{module}.utc_now", now)
    return move


def test_the_forecast_after_a_rehearsal_is_within_15_percent_of_what_the_final_run_takes(move, capsys):
    filled = dict.fromkeys(TYPES, 600) | {"activity": 200, "comment": 100, "product_row": 200}
    move.apps["cloud"].state.portal.fill(now=move.clock.time(), **filled)
    word = Word(automation_is_off=True)
    move.restore(1)
    move.work(leads=1, changes=1)
    stages.baseline(move.settings, has_backup=True, again=False, steps=move)
    move.work(leads=60, changes=150)
    stages.rehearsal(move.settings, word, steps=move)
    assert "freeze at" in capsys.readouterr().out

    move.restore(2)
    move.work(leads=1, changes=1)
    stages.baseline(move.settings, has_backup=True, again=False, steps=move)
    move.work(leads=90, changes=120)
    stages.final(move.settings, stages.FROZEN, word, steps=move)

    def final() -> list[tuple[float, float]]:
        connection = open_warehouse(move.settings.warehouse)
        rows = connection.execute(
            """select (detail ->> '$.forecast_seconds')::double, list_sum(list_transform(
                   from_json(detail -> '$.took', '[{"seconds": "DOUBLE"}]'), lambda took: took.seconds))
               from ops.steps where step = 'publish transfer final' order by started_at desc limit 1"""
        ).fetchall()
        connection.close()
        return rows

    ((expected, took),) = final()
    told = capsys.readouterr().out
    assert took == pytest.approx(expected, rel=0.15), told
    assert move.changed == [{"lead": 90, "deal": 120}]
    stages.final(move.settings, stages.FROZEN, word, steps=move)  # it finds nothing, and is forecast to
    ((expected, took),) = final()
    assert took == pytest.approx(expected, rel=0.15), capsys.readouterr().out
