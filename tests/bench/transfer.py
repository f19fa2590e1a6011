"""A move without a backup: an empty box, and everything moves, both portals at the standard plan.

The clock jumps over every wait, and computing takes no time on it: what it shows is what the limits cost. That is
compared with the least that they allow for the work that has to be done: every method may work 480 seconds at once, and
as much again when those have left its sum, ten minutes later; requests go fifty at once and two a second, of fifty
commands or a thousand imported cards each. Methods do not share their seconds, so the slowest of them decides.
"""

import math
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx
from pydantic import SecretStr

from ingest.bitrix24.client import Client
from ingest.bitrix24.pacing import BATCH, Pace
from ingest.bitrix24.reading import ReadingClient
from ingest.portal.snapshots import Snapshot
from ingest.portal.source import Reading
from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from publish.bitrix24.run import Result, Silent
from publish.sandbox import Limits, Portal, create_app
from publish.sandbox.methods import METHODS
from publish.settings import Settings
from publish.transfer.ledger import TransferLedger
from publish.transfer.push import Word, push
from tests.installation import Installation
from tests.publish.conftest import JumpingClock

_IMPORT = "crm.item.batchImport"
_TOGETHER = 20  # cards a command of imports
_SHARES = {"company": 0.2, "contact": 0.3, "lead": 0.2, "deal": 0.3, "activity": 0.2, "comment": 0.1,
           "product_row": 0.3, "requisite_link": 0.1}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """What a stage took on the clock, and the least that the limits allow, in seconds; by what it is bound."""

    stage: str
    seconds: float
    least: float
    bound_by: str

    @property
    def ratio(self) -> float:
        return self.seconds / self.least if self.least else 1.0

    def __str__(self) -> str:
        return (
            f"{self.stage}: {self.seconds:,.0f} s on the clock, {self.least:,.0f} s at least ({self.bound_by}), "
            f"{self.ratio:.3f}"
        )


def least(portal: Portal, cost: Any, limits: Limits) -> tuple[float, str]:
    """The least seconds that the limits allow for the calls in a portal's log, and what decides. `cost` tells the
    seconds of work of a call of a method."""
    calls = portal.calls()
    cards = sum(portal.counts()[kind] for kind in ("company", "contact", "lead", "deal"))
    elements = Counter(calls) | Counter({_IMPORT: cards if _IMPORT in calls else 0})
    bounds = {}
    for method, number in elements.items():
        # The limit is checked before a call: the last one of a window may pass it.
        most = limits.operating_seconds + cost(method) * (_TOGETHER if method == _IMPORT else 1)
        windows = math.ceil(number * cost(method) / most)
        bounds[f"working time of {method}"] = (windows - 1) * limits.operating_window
    a_request = {_IMPORT: BATCH * _TOGETHER}
    requests = sum(math.ceil(number / a_request.get(method, BATCH)) for method, number in elements.items())
    bounds[f"{requests:,} requests"] = max(0.0, (requests - limits.burst) / limits.rate)
    bound_by, seconds = max(bounds.items(), key=lambda bound: bound[1])
    return seconds, bound_by


class Site:
    """A portal on the clock, and who talks to it."""

    def __init__(self, state: Path, clock: JumpingClock, limits: Limits, name: str) -> None:
        self.limits, self.clock, self.name = limits, clock, name
        self.app = create_app(state, limits=limits, clock=clock)
        self.webhook = SecretStr(f"http://{name}.test/rest/1/sandbox/")

    @property
    def portal(self) -> Portal:
        return self.app.state.portal

    def pace(self) -> Pace:
        return Pace(self.limits.rate, self.limits.burst, self.limits.operating_seconds, self.clock)

    def timed(self, stage: str, work: Any) -> tuple[Figure, Any]:
        """Do some work from rested limits on, and compare."""
        self.clock.start += 2 * self.limits.operating_window
        self.portal.clear_log()
        began = self.clock.time()
        done = self.clock.run(work)
        seconds = self.clock.time() - began
        meter = self.app.state.engine.meter

        def cost(method: str) -> float:
            return meter.cost(method, METHODS[method.lower()].writes)

        return Figure(stage, seconds, *least(self.portal, cost, self.limits)), done


async def land(connection: duckdb.DuckDBPyConnection, site: Site) -> None:
    """Read a portal into a complete snapshot."""
    pace = site.pace()
    transport = httpx.ASGITransport(site.app)
    async with ReadingClient(site.webhook, pace, variable="SVOD_CLOUD_WEBHOOK", transport=transport) as client:
        await Reading(client, Snapshot(connection, site.name, f"{site.name}.test", "")).run("bench")


async def move(connection: duckdb.DuckDBPyConnection, site: Site, settings: Settings) -> Result:
    """Push what the mart says."""
    webhook, name = settings.box()
    async with Client(webhook, site.pace(), transport=httpx.ASGITransport(site.app)) as client:
        ledger = TransferLedger(connection, name, "cloud.test")
        return await push(ledger, client, settings, settings.warehouse.parent / "dates.sql", Silent(), Word(True))


def run(folder: Path, cards: int, told: Any = print) -> tuple[list[Figure], dict[str, Any]]:
    """The whole move of so many cards; the figures, and the one row of marts.transfer_verdict."""
    clock, limits = JumpingClock(), Limits.standard()
    folder.mkdir(parents=True, exist_ok=True)
    cloud, box = (Site(folder / f"{name}.sqlite", clock, limits, name) for name in ("cloud", "box"))
    cloud.portal.fill(now=clock.time(), **{name: int(share * cards) for name, share in _SHARES.items()})
    clock.start += 3600
    svod = Installation(
        folder,
        {
            "SVOD_CLOUD_WEBHOOK": cloud.webhook.get_secret_value(),
            "SVOD_BOX_WEBHOOK": box.webhook.get_secret_value(),
            "SVOD_TRANSFER_FALLBACK_USER": "1",
        },
    )
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        box_webhook=box.webhook.get_secret_value(),
        box_rate=limits.rate,
        warehouse=svod.warehouse,
    )
    figures = []
    with closing(open_warehouse(svod.warehouse)) as connection:
        figures.append(cloud.timed(f"reading {cards:,} cards of the cloud", land(connection, cloud))[0])
        told(figures[-1])
        clock.run(land(connection, box))
    _build(svod)
    with closing(open_warehouse(svod.warehouse)) as connection:
        with journal.step(connection, journal.TRANSFER_PUSH):
            figure, result = box.timed(f"moving {cards:,} cards", move(connection, box, settings))
        figures.append(figure)
        told(f"{figure}; created {sum(result.created.values()):,}, {result.requests:,} requests")
        clock.start += 2 * limits.operating_window
        clock.run(land(connection, box))
    _build(svod)
    with closing(duckdb.connect(str(svod.warehouse), read_only=True)) as connection:
        cursor = connection.execute("from marts.transfer_verdict")
        verdict = dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
    return figures, verdict


def _build(svod: Installation) -> None:
    ended = svod.tool("dbt", "build", "--selector", "transfer", "--project-dir", "dbt_project", "--profiles-dir",
                      "dbt_project")  # fmt: skip
    if ended.status:
        sys.exit(f"the models failed with status {ended.status}:\n{ended.output}")
