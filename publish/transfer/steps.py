"""The steps of a stage: programs of their own, that land portals, build models, push; and what is asked of the box."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from pydantic import SecretStr

from ingest.bitrix24 import pacing
from ingest.bitrix24.answers import rows_of
from ingest.bitrix24.client import Client, Command
from ingest.bitrix24.reading import ReadingClient
from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import SettingsError
from ingest.warehouse.terminal import say_aside
from publish import portals
from publish.bitrix24.mark import read_mark
from publish.cycle import BIN, MODELS, Cycle
from publish.settings import Settings
from publish.transfer import baseline, hand_over, one_portal, since, unseen
from publish.transfer.kinds import cards
from publish.transfer.ledger import TransferLedger
from publish.transfer.one_portal import Sample

BOX, CLOUD, BURST = "SVOD_BOX_WEBHOOK", "SVOD_CLOUD_WEBHOOK", 50
_USERS = "user.get"
T = TypeVar("T")


class Steps(Protocol):
    """What a stage is made of. Programs answer an exit status; `time` is in seconds, from whenever."""

    def land(self, portal: str, label: str, *, anew: bool) -> int: ...
    def build(self) -> int: ...
    def push(self, *, automation_is_off: bool) -> int: ...
    def box_mark(self) -> str | None: ...
    def cloud_mark(self) -> str | None: ...
    def changed_in_cloud(self) -> dict[str, int]: ...
    def has_user(self, user_id: int) -> bool: ...
    def are_one(self, sample: Sample) -> bool: ...
    def notice_unseen(self) -> str: ...
    def put_mark(self) -> None: ...
    def take_mark_off(self) -> None: ...
    def hand_over(self) -> list[str]: ...
    def time(self) -> float: ...


class Programs:
    """The steps as programs of one cycle: what ends one ends nothing else, and each may be killed at any moment."""

    def __init__(self, settings: Settings, cycle: Cycle, wishes: Sequence[str] = ()) -> None:
        self._settings, self._cycle, self._wishes = settings, cycle, wishes

    def land(self, portal: str, label: str, *, anew: bool) -> int:
        """Read the portal of this name, or both at once where there is no name."""
        begun = ["--anew"] if anew else []
        named = ["--portal", portal] if portal else []
        labelled = ["--label", label] if label else []
        return self._cycle.step(
            journal.INGEST_BITRIX24, BIN / "ingest", "bitrix24", *named, *labelled, *begun, *self._wishes
        )

    def build(self) -> int:
        return self._cycle.step(journal.DBT_TRANSFER, sys.executable, MODELS, "transfer")

    def push(self, *, automation_is_off: bool) -> int:
        word = ["--automation-is-off"] if automation_is_off else []
        return self._cycle.step(journal.TRANSFER_PUSH, BIN / "publish", "transfer", "push", *word)

    def box_mark(self) -> str | None:
        """The mark that the box carries."""
        return self._ask(baseline.mark_of)

    def cloud_mark(self) -> str | None:
        """The mark that the cloud carries: none, unless it is the box by another name."""
        return self._ask_cloud(baseline.mark_told_by)

    def changed_in_cloud(self) -> dict[str, int]:
        """How many records are new or changed there since it was read, by kind."""
        with open_warehouse(self._settings.warehouse) as connection:
            cloud = self._settings.cloud
            return self._ask_cloud(lambda client: since.changed_in_cloud(connection, client, cloud))

    def has_user(self, user_id: int) -> bool:
        """Whether the box has a user of this id; so it seems, too, where it does not tell its users (page
        `user/user-get`)."""

        async def ask(client: Client) -> bool:
            command = Command(_USERS, {"FILTER": {"ID": user_id}, "ADMIN_MODE": "Y"})
            (answer,) = await client.read_outcomes([command], optional=(_USERS,))
            return answer.error is not None or any(
                str(row.get("ID")) == str(user_id) for row in rows_of(_USERS, answer.result)
            )

        return self._ask(ask)

    def notice_unseen(self) -> str:
        """Write down whether the box was written to by a move that this warehouse does not know of; a line then."""
        with open_warehouse(self._settings.warehouse) as connection:
            known = portals.portal_row(connection, self._settings.box()[1])

            async def notice(client: Client) -> str:
                _, mark = await read_mark(client, cards(""))
                return await unseen.notice(connection, client, known, mark, self._settings.box_user)

            return self._ask(notice)

    def put_mark(self) -> None:
        """Have the box carry one."""
        with open_warehouse(self._settings.warehouse) as connection:
            ledger = TransferLedger(connection, self._settings.box()[1], self._settings.cloud)
            self._ask(lambda client: baseline.put_mark(ledger, client, self._settings))

    def take_mark_off(self) -> None:
        """Take away the custom fields that the mark came with."""
        self._ask(baseline.take_mark_off)

    def are_one(self, sample: Sample) -> bool:
        """Whether the cloud and the box tell the same of cards that they told differently."""

        async def ask(client: Client) -> bool:
            webhook = self._settings.cloud_webhook
            if webhook is None:
                return False
            async with self._reading(webhook) as cloud:
                return await one_portal.are_one(cloud, client, sample)

        return self._ask(ask)

    def hand_over(self) -> list[str]:
        """Let the first job go on in the box; what is to be said of that, a line each."""
        with open_warehouse(self._settings.warehouse) as connection:
            return self._ask(lambda client: hand_over.hand_over(connection, client, self._settings))

    def time(self) -> float:
        return time.monotonic()

    def _ask_cloud(self, work: Callable[[ReadingClient], Awaitable[T]]) -> T:
        """It is asked by the client that cannot write."""

        async def with_client() -> T:
            webhook = self._settings.cloud_webhook
            if webhook is None:
                raise SettingsError(f"{CLOUD} is not set", hint="see .env.example")
            async with self._reading(webhook) as client:
                return await work(client)

        return asyncio.run(with_client())

    def _reading(self, webhook: SecretStr) -> ReadingClient:
        rate = self._settings.cloud_rate
        pace = pacing.Pace(rate, BURST, self._settings.bitrix24_operating if rate else 0.0)
        return ReadingClient(webhook, pace, variable=CLOUD)

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
