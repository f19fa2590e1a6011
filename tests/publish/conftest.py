"""A warehouse with marts to fill, a sandbox portal, and a clock that jumps over every wait."""

import asyncio
import contextlib
import selectors
import shutil
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import httpx
import pytest
from pydantic import SecretStr

from ingest.bitrix24.client import Client
from ingest.bitrix24.pacing import Pace
from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from publish.bitrix24.kinds import Catalogue
from publish.bitrix24.parts import PARTS
from publish.bitrix24.push import push
from publish.bitrix24.run import Result
from publish.ledger import Ledger
from publish.sandbox import Faults, Limits, Portal, create_app
from publish.settings import Settings
from publish.words import Words
from tests.publish import marts
from tests.servers import HINT, ServerMissing, binary

WEBHOOK = "http://portal.test/rest/1/sandbox/"
Answer = TypeVar("Answer")


class _JumpingSelector(selectors.DefaultSelector):
    """Where a loop would wait, its clock moves on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class JumpingClock:
    """A clock of its own for a loop: waits of hours take no time, in their right order."""

    def __init__(self, start: float = 1_790_000_000.0) -> None:
        self.start = start
        self._selector = _JumpingSelector()

    def time(self) -> float:
        return self.start + self._selector.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def run(self, work: Any) -> Any:
        """Run a coroutine to its end on a loop that reads this clock."""
        loop = asyncio.SelectorEventLoop(self._selector)
        loop.time = lambda: self._selector.now
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                return runner.run(work)
        finally:
            self.start, self._selector = self.time(), _JumpingSelector()


@dataclass
class Office:
    """A warehouse and a portal, and pushes from one to the other."""

    connection: duckdb.DuckDBPyConnection
    app: Any
    clock: JumpingClock
    settings: Settings
    parts: Catalogue = PARTS

    @property
    def portal(self) -> Portal:
        return self.app.state.portal

    @property
    def faults(self) -> Faults:
        return self.app.state.engine.faults

    def push(self, *, let_through: bool = False, take_over: bool = False, **settings: Any) -> Result:
        """One push, journalled as the command line does it."""
        chosen = self.settings.model_copy(update=settings)
        with journal.step(self.connection, journal.PUBLISH_PUSH) as step:
            result = self.clock.run(self._push(chosen, let_through, take_over))
            step.rows_out = sum(result.created.values()) + sum(result.updated.values())
            return result

    async def _push(self, settings: Settings, let_through: bool, take_over: bool) -> Result:
        async with self._client(settings) as client:
            ledger = Ledger(self.connection, settings.portal, words=Words.of(settings))
            return await push(ledger, client, settings, parts=self.parts, let_through=let_through, take_over=take_over)

    def ask(self, work: Callable[[Client], Coroutine[Any, Any, Answer]]) -> Answer:
        """What a part of a push asks the portal."""

        async def asked() -> Answer:
            async with self._client(self.settings) as client:
                return await work(client)

        return self.clock.run(asked())

    def _client(self, settings: Settings) -> Client:
        pace = Pace(settings.bitrix24_rate, settings.bitrix24_burst, settings.operating_limit, self.clock)
        return Client(SecretStr(WEBHOOK), pace, transport=httpx.ASGITransport(self.app))

    def call(self, method: str, params: dict[str, Any]) -> Any:
        """What a manager (or a tester) does by hand: one REST call, which must succeed."""
        status, body, _ = self.app.state.engine.request(method, params)
        assert status == 200, body
        return body["result"]

    def edit(self, entity_type: int, card: int, **fields: Any) -> None:
        """What a manager does to a card."""
        self.call("crm.item.update", {"entityTypeId": entity_type, "id": card, "fields": fields})

    def card(self, entity: str, origin_id: str) -> dict[str, Any]:
        """Our card with this key, as the portal holds it."""
        return next(item for item in self.portal.items(entity) if item["originId"] == origin_id)

    def sql(self, statement: str, *params: Any) -> list[tuple]:
        return self.connection.execute(statement, list(params)).fetchall()

    def ids(self, entity: str) -> dict[str, int]:
        present = "select origin_id, bitrix_id from sync.ledger where entity = ? and portal not like '% (until %'"
        return dict(self.sql(present, entity))

    def swap_portal(self, state: Path | str = ":memory:") -> None:
        """Another portal, or one put back from a copy, behind the same address."""
        self.app = create_app(state, limits=Limits.none(), clock=self.clock)

    def copy_warehouse(self, place: Path) -> Path:
        """A copy of the warehouse's file as it is now."""
        self.connection.execute("checkpoint")
        (file,) = self.sql("select path from duckdb_databases() where database_name = current_database()")[0]
        shutil.copy(file, place)
        return place

    def open_warehouse(self, place: Path) -> None:
        """Go on with the warehouse at another place; the one so far is closed."""
        self.connection.close()
        self.connection = open_warehouse(place)

    def put_back_warehouse(self, copy: Path) -> None:
        """Put a copy back in the warehouse's place."""
        (file,) = self.sql("select path from duckdb_databases() where database_name = current_database()")[0]
        self.connection.close()
        shutil.copy(copy, file)
        self.connection = open_warehouse(Path(file))

    def differences(self) -> list[str]:
        return marts.differences(self.connection, self.portal)


@pytest.fixture(scope="session")
def warehouse_with_marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a warehouse whose marts hold nothing, for tests to copy."""
    path = tmp_path_factory.mktemp("marts") / "svod.duckdb"
    with contextlib.closing(open_warehouse(path)) as connection:
        marts.prepare(connection)
        marts.fill(connection, 0, 0)
    return path


@pytest.fixture
def warehouse(tmp_path: Path, warehouse_with_marts: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = open_warehouse(Path(shutil.copy(warehouse_with_marts, tmp_path)))
    yield connection
    connection.close()


@pytest.fixture
def open_office(warehouse: duckdb.DuckDBPyConnection) -> Callable[..., Office]:
    """An office with a portal of the given limits (none unless said)."""

    def build(limits: Limits | None = None, **settings: Any) -> Office:
        clock = JumpingClock()
        app = create_app(":memory:", limits=limits or Limits.none(), clock=clock)
        settings = {"bitrix24_rate": 2 if limits else 0} | settings
        return Office(warehouse, app, clock, Settings(_env_file=None, bitrix24_webhook=WEBHOOK, **settings))

    return build


@pytest.fixture
def office(open_office: Callable[..., Office]) -> Office:
    return open_office()


@pytest.fixture
def published(office: Office) -> Office:
    """An office whose few companies, people and deals are in the portal."""
    marts.fill(office.connection, 4, 8, 4)
    office.push()
    return office


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, let go of with the tests of a file: while it is there a loop runs, and no other may."""
    from playwright.sync_api import sync_playwright  # what most tests need no browser for

    chromium = binary("chromium")
    if not chromium:
        raise ServerMissing(f"Chromium is not installed: {HINT}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def watched(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page of a file; at the end it has said nothing to the console and asked for nothing but itself."""
    said, asked, contexts = [], [], []

    def open_page(file: Path, **how: Any) -> Any:
        context = browser.new_context(**how)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert len(asked) == len(contexts) and all(address.startswith("file:") for address in asked)


@pytest.fixture
def cells() -> Callable[[Any, str], list[list[str]]]:
    """The texts of a table of a page, row by row."""

    def read(page: Any, table: str) -> list[list[str]]:
        texts: list[list[str]] = page.eval_on_selector_all(
            f"#{table}-rows tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        )
        return texts

    return read
