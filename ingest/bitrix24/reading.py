"""A client that can only read: it takes members of `ReadMethod`, and no other name of a method can be given to it.

The portal a company moves from is worked in while it is read, and nothing may be written to it by accident. Whoever
holds a `ReadingClient` has no way to: the methods are a closed list, and the client below it is out of reach.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import SecretStr

from ingest.bitrix24 import webhook as webhooks
from ingest.bitrix24.client import Client, Command
from ingest.bitrix24.download import Content
from ingest.bitrix24.errors import PortalError
from ingest.bitrix24.pacing import Pace


class ReadMethod(StrEnum):
    """Every method that may be called; each only lists or tells."""

    IS_ADMIN = "user.admin"
    USERS = "user.get"
    ITEMS = "crm.item.list"
    PRODUCT_ROWS = "crm.item.productrow.list"
    REQUISITES = "crm.requisite.list"
    BANK_DETAILS = "crm.requisite.bankdetail.list"
    REQUISITE_LINKS = "crm.requisite.link.list"
    ADDRESSES = "crm.address.list"
    ACTIVITIES = "crm.activity.list"
    ACTIVITY_BINDINGS = "crm.activity.binding.list"
    COMMENTS = "crm.timeline.comment.list"
    FUNNELS = "crm.category.list"
    STATUSES = "crm.status.list"
    REQUISITE_PRESETS = "crm.requisite.preset.list"
    CURRENCIES = "crm.currency.list"
    LEAD_FIELDS = "crm.lead.userfield.list"
    DEAL_FIELDS = "crm.deal.userfield.list"
    CONTACT_FIELDS = "crm.contact.userfield.list"
    COMPANY_FIELDS = "crm.company.userfield.list"
    REQUISITE_FIELDS = "crm.requisite.userfield.list"
    WORKFLOW_TEMPLATES = "bizproc.workflow.template.list"
    DISK_FILE = "disk.file.get"
    CATALOGS = "catalog.catalog.list"
    PRODUCTS = "catalog.product.list"


@dataclass(frozen=True, slots=True)
class Read:
    """One reading command."""

    method: ReadMethod
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command answered: its result, the total and the next page where it counted; or why it was refused."""

    result: Any = None
    total: int | None = None
    next: int | None = None
    error: PortalError | None = None


class ReadingClient:
    """A portal behind an inbound webhook, to be read. Use as an asynchronous context manager; calls may run at once.

    `variable` is the setting that has the webhook, for hints.
    """

    def __init__(
        self, webhook: SecretStr, pace: Pace, *, variable: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.__client = Client(webhook, pace, variable=variable, transport=transport)
        self.__webhook = webhook

    def __repr__(self) -> str:
        return f"ReadingClient({self.host})"

    @property
    def host(self) -> str:
        return self.__client.host

    @property
    def requests(self) -> int:
        """HTTP requests sent so far."""
        return self.__client.requests

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.__client.__aexit__(kind, error, at)

    def without_secret(self, text: str) -> str:
        """A text of the portal without the webhook in it."""
        return webhooks.without_secret(text, self.__webhook.get_secret_value())

    async def download(self, address: str, folder: Path, most_bytes: int, *, keep: bool) -> Content:
        """A file at an address of this portal that it told; see `download.download`. Raises Unreadable."""
        return await self.__client.download(address, folder, most_bytes, keep=keep)

    async def read(self, reads: Sequence[Read], *, may_refuse: bool = False) -> list[Answer]:
        """Answers of any number of commands, in order; lost ones are asked for again.

        Raises PortalRefused when one is refused, unless it may be: then its answer has the error. Raises TypeError for
        a method that is no `ReadMethod`.
        """
        _check(reads)
        commands = [Command(read.method.value, read.params) for read in reads]
        optional = {read.method.value for read in reads} if may_refuse else ()
        outcomes = await self.__client.read_outcomes(commands, optional=optional)
        return [Answer(outcome.result, outcome.total, outcome.next, outcome.error) for outcome in outcomes]


def _check(reads: Iterable[Read]) -> None:
    for read in reads:
        if not isinstance(read.method, ReadMethod):
            raise TypeError(f"{read.method!r} is no method that reads")
