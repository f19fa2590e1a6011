"""The steps of a stage: programs of their own, that land portals, build models, push; and what is asked of the box."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from ingest.bitrix24 import pacing
from ingest.bitrix24.client import Client
from ingest.bitrix24.reading import ReadingClient
from ingest.warehouse import journal
from ingest.warehouse.terminal import say_aside
from publish.cycle import BIN, MODELS, Cycle, opened
from publish.settings import Settings
from publish.transfer import baseline, hand_over
from publish.transfer.ledger import TransferLedger

BOX, CLOUD, BURST = "SVOD_BOX_WEBHOOK", "SVOD_CLOUD_WEBHOOK", 50
T = TypeVar("T")


class Steps(Protocol):
    """What a stage is made of. Programs answer an exit status; `time` is in seconds, from whenever."""

    def land(self, portal: str, label: str, *, anew: bool) -> int: ...
    def build(self) -> int: ...
    def push(self, *, automation_is_off: bool) -> int: ...
    def box_mark(self) -> str | None: ...
    def cloud_mark(self) -> str | None: ...
    def put_mark(self) -> None: ...
    def hand_over(self) -> list[str]: ...
    def time(self) -> float: ...


class Programs:
    """The steps as programs of one cycle: what ends one ends nothing else, and each may be killed at any moment."""

    def __init__(self, settings: Settings, cycle: Cycle, gone: Sequence[str] = ()) -> None:
        self._settings, self._cycle, self._gone = settings, cycle, gone

    def land(self, portal: str, label: str, *, anew: bool) -> int:
        """Read the portal of this name, or both at once where there is no name."""
        begun = ["--anew"] if anew else []
        gone = [word for name in self._gone for word in ("--gone", name)]
        named = ["--portal", portal] if portal else []
        labelled = ["--label", label] if label else []
        return self._cycle.step(journal.INGEST_BITRIX24, BIN / "ingest", "bitrix24", *named, *labelled, *begun, *gone)

    def build(self) -> int:
        return self._cycle.step(journal.DBT_TRANSFER, sys.executable, MODELS, "transfer")

    def push(self, *, automation_is_off: bool) -> int:
        word = ["--automation-is-off"] if automation_is_off else []
        return self._cycle.step(journal.TRANSFER_PUSH, BIN / "publish", "transfer", "push", *word)

    def box_mark(self) -> str | None:
        """The mark that the box carries."""
        return self._ask(baseline.mark_of)

    def cloud_mark(self) -> str | None:
        """The mark that the cloud carries: none, unless it is the box by another name. It is asked by the client that
        cannot write."""

        async def ask() -> str | None:
            webhook, rate = self._settings.cloud_webhook, self._settings.cloud_rate
            if webhook is None:
                return None
            pace = pacing.Pace(rate, BURST, self._settings.bitrix24_operating if rate else 0.0)
            async with ReadingClient(webhook, pace, variable=CLOUD) as client:
                return await baseline.mark_told_by(client)

        return asyncio.run(ask())

    def put_mark(self) -> None:
        """Have the box carry one."""
        with opened(self._settings.warehouse) as connection:
            ledger = TransferLedger(connection, self._settings.box()[1], self._settings.cloud)
            self._ask(lambda client: baseline.put_mark(ledger, client, self._settings))

    def hand_over(self) -> list[str]:
        """Let the first job go on in the box; what is to be said of that, a line each."""
        with opened(self._settings.warehouse) as connection:
            return self._ask(lambda client: hand_over.hand_over(connection, client, self._settings))

    def time(self) -> float:
        return time.monotonic()

    def _ask(self, work: Callable[[Client], Awaitable[T]]) -> T:
        async def with_client() -> T:
            webhook, _ = self._settings.box()
            async with Client(webhook, pace_of(self._settings), variable=BOX) as client:
                return await work(client)

        return asyncio.run(with_client())


def pace_of(settings: Settings) -> pacing.Pace:
    """The limits of the box: none, unless it is said to have some."""
    pace = pacing.Pace(settings.box_rate, BURST, settings.bitrix24_operating if settings.box_rate else 0.0)
    pace.on_pause = lambda text: say_aside(f"publish transfer: {text}")
    return pace
