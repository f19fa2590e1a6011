"""A portal on a loopback port, and a client that speaks to it as any client does."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest

from publish.sandbox import Limits, RunningSandbox


class TurnedClock:
    """A clock that stands still until a test turns it."""

    def __init__(self, now: float = 1_800_000_000.0):
        self.now = now

    def time(self) -> float:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += seconds


def flat(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Parameters with PHP's brackets."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            yield from flat(item, f"{prefix}[{key}]" if prefix else str(key))
    else:
        yield prefix, "" if value is None else str(value)


def command(method: str, **params: Any) -> str:
    """One batch command with its values encoded once."""
    return f"{method}?" + "&".join(f"{key}={quote_plus(value)}" for key, value in flat(params, ""))


class Client:
    """Calls methods with JSON bodies."""

    def __init__(self, webhook: str):
        self.http = httpx.Client(base_url=webhook, timeout=30)

    def ask(self, method: str, **params: Any) -> httpx.Response:
        return self.http.post(method, json=params)

    def full(self, method: str, **params: Any) -> dict[str, Any]:
        answer = self.ask(method, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def result(self, method: str, **params: Any) -> Any:
        return self.full(method, **params)["result"]

    def error(self, method: str, **params: Any) -> tuple[int, Any]:
        """Status and code of an answer that must be an error."""
        answer = self.ask(method, **params)
        assert "error" in answer.json(), answer.text
        return answer.status_code, answer.json()["error"]

    def batch(self, commands: dict[str, str] | list[str], halt: int = 0) -> dict[str, Any]:
        return self.result("batch", halt=halt, cmd=commands)

    def add(self, type_id: int, **fields: Any) -> dict[str, Any]:
        return self.result("crm.item.add", entityTypeId=type_id, fields=fields)["item"]

    def get(self, type_id: int, card_id: int) -> dict[str, Any]:
        return self.result("crm.item.get", entityTypeId=type_id, id=card_id)["item"]

    def update(self, type_id: int, card_id: int, **fields: Any) -> dict[str, Any]:
        return self.result("crm.item.update", entityTypeId=type_id, id=card_id, fields=fields)["item"]

    def list(self, type_id: int, **params: Any) -> list[dict[str, Any]]:
        return self.result("crm.item.list", entityTypeId=type_id, **params)["items"]

    def company_with_requisite(self, inn: str = "7707083893", **fields: Any) -> tuple[int, int]:
        """Ids of a new company and of its requisite."""
        company_id = self.add(4, **{"title": "ООО Ромашка", **fields})["id"]
        sent = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": company_id, "PRESET_ID": 1, "NAME": "Реквизиты", "RQ_INN": inn}
        return company_id, self.result("crm.requisite.add", fields=sent)


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def run_sandbox(clock: TurnedClock) -> Iterator[Callable[..., RunningSandbox]]:
    """Start portals with chosen settings; all of them stop with the test."""
    running: list[RunningSandbox] = []

    def start(*args: Any, **settings: Any) -> RunningSandbox:
        sandbox = RunningSandbox(*args, **{"limits": Limits.none(), "clock": clock, **settings})
        running.append(sandbox)
        return sandbox

    yield start
    for sandbox in running:
        sandbox.stop()


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[RunningSandbox]:
    with RunningSandbox() as running:
        yield running


@pytest.fixture
def sandbox(shared_sandbox: RunningSandbox, clock: TurnedClock) -> RunningSandbox:
    """A self-hosted portal without limits, empty, its clock standing still."""
    shared_sandbox.start_over(limits=Limits.none(), clock=clock)
    return shared_sandbox


@pytest.fixture
def client(sandbox: RunningSandbox) -> Client:
    return Client(sandbox.webhook)


@pytest.fixture
def connect() -> Callable[[RunningSandbox], Client]:
    return lambda sandbox: Client(sandbox.webhook)
