"""Sends the changes. Creates of cards, then what hangs on them, updates beside them: four lanes, two limits.

Each lane works on methods of its own, so that one that has used up its operating time does not hold up the others. It
reads its work from the plan page by page; what it may do depends on the ledger and on how far the lane before it has
got.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from ingest.warehouse.errors import OperatorError
from publish import changes, mapping
from publish.creates import END, Creates
from publish.ledger import Intent, Ledger, Refusal
from publish.lookup import Adoption, executed
from publish.mapping import CARDS, COMPANY, CONTACT, DEAL
from publish.portal import Portal, PortalError, PortalUnavailable
from publish.settings import Settings
from publish.setup import PortalBooks, prepare
from publish.updates import Updates

_ATTEMPTS = 6

Report = Callable[[str, int], None]


@dataclass
class Result:
    """What a push did: parts created and updated by kind, cards adopted, requests sent; what is set aside in all."""

    created: dict[str, int] = field(default_factory=dict)
    updated: dict[str, int] = field(default_factory=dict)
    adopted: int = 0
    refused: int = 0
    requests: int = 0
    conflicts: int = 0
    set_aside: int = 0
    doubles: int = 0

    def add(self, what: dict[str, int], entity: str, number: int) -> None:
        if number:
            what[entity] = what.get(entity, 0) + number


class Publisher:
    """One push of the current plan to one portal. The warehouse connection must be the only one that writes."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        portal: Portal,
        settings: Settings,
        *,
        let_through: bool = False,
        report: Report = lambda entity, number: None,
        expect: Report = lambda entity, number: None,
    ) -> None:
        self.connection, self.portal, self.settings, self.report = connection, portal, settings, report
        self.expect = expect
        self.ledger = Ledger(connection)
        self.let_through = let_through
        self.result = Result()
        self.books = PortalBooks()
        self.blocked: Mapping[str, set[str]] = {}
        self.reached = {COMPANY.entity: "", CONTACT.entity: "", DEAL.entity: "", "requisite": ""}
        self._moved = asyncio.Condition()

    async def run(self) -> Result:
        """Recover, plan, adopt, send. Raises OperatorError with exit status 3 when the fuse blows, PortalRefused when
        the portal refuses everything, PortalUnavailable when it is not to be reached; what was settled stays."""
        await self._recover_intents()
        changes.compute(self.connection)
        if any(self._count(part.entity, "create") for part in CARDS):
            adoption = Adoption(self.connection, self.ledger, self.portal)
            self.result.adopted = await adoption.run()
            self.blocked = adoption.blocked
            if self.result.adopted:
                changes.compute(self.connection)
        if any(self._count(entity) for entity in mapping.PARTS):
            self._check_fuse()
            for entity in mapping.PARTS:
                self.expect(entity, self._count(entity))
            self.books = await prepare(self.portal, self.settings.deal_stages)
            await self._send_all()
        self.result.requests = self.portal.requests
        for name, table in (
            ("set_aside", "dead_letters"),
            ("conflicts", "conflicts"),
            ("doubles", "adoption_duplicates"),
        ):
            setattr(self.result, name, self.connection.execute(f"select count(*) from sync.{table}").fetchone()[0])
        return self.result

    def _count(self, entity: str, action: str | None = None) -> int:
        condition = f"where action = '{action}'" if action else ""
        return self.connection.execute(f"select count(*) from plan_{entity} {condition}").fetchone()[0]

    def _check_fuse(self) -> None:
        """Stop a plan that would change more than a set share of what is published, unless no push has ever ended."""
        row = self.connection.execute("select count(*) from ops.steps where step = 'publish push' and status = 'done'")
        if self.let_through or not row.fetchone()[0]:
            return
        for part in CARDS:
            held = self.connection.execute(
                "select count(*) from sync.ledger where entity = ?", [part.entity]
            ).fetchone()[0]
            changed = self._count(part.entity)
            if changed > max(self.settings.fuse_floor, held * self.settings.fuse_share):
                raise OperatorError(
                    f"the plan would create or change {changed} of {held} published {part.entity} cards, more than "
                    f"SVOD_FUSE_SHARE={self.settings.fuse_share:g} allows",
                    hint="look at `publish plan --show 20`; `publish push --let-through` lets it through once",
                    exit_status=3,
                )

    async def _send_all(self) -> None:
        creates, updates = Creates(self), Updates(self)
        try:
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(creates.cards())
                lanes.create_task(creates.parts(("requisite",), COMPANY.entity))
                lanes.create_task(creates.parts(("bank_detail", "address"), "requisite"))
                lanes.create_task(updates.run())
        except BaseExceptionGroup as group:
            raise _first(group) from None

    async def _recover_intents(self) -> None:
        """Find out what became of creates that a killed run had sent."""
        rows = self.ledger.open_intents()
        if rows:
            await self.recover(
                [Intent(entity, key, wanted, owner, tuple(links)) for entity, key, owner, wanted, links in rows]
            )

    async def recover(self, intents: Sequence[Intent]) -> set[tuple[str, str]]:
        """Settle creates of unknown outcome; keys of those that were not executed.

        The portal may still be working on a request whose connection is gone, or whose sender was killed a moment ago
        (an intent may have waited long before it was sent): only when the time that the portal gives a request has
        passed from now does an absent record prove that it was not created.
        """
        open_, clock = list(intents), self.portal.pace.clock
        decided_at = clock.time() + self.settings.bitrix24_request_limit
        while open_:
            is_final = clock.time() >= decided_at
            held = await executed(self.portal, open_)
            there = {(one.entity, one.origin_id) for one in held}
            open_ = [one for one in open_ if (one.entity, one.origin_id) not in there]
            absent = [(one.entity, one.origin_id) for one in open_] if is_final else []
            self.ledger.settle(held, absent=absent)
            for one in held:
                self.count_created(one.entity, 1)
            if is_final:
                return set(absent)
            if open_:
                await clock.sleep(max(0.0, decided_at - clock.time()))
        return set()

    def count_created(self, entity: str, number: int) -> None:
        self.result.add(self.result.created, entity, number)
        self.report(entity, number)

    async def until_sent(
        self, todo: list[Any], send: Callable[[list[Any]], Any], key: Callable[[Any], tuple[str, str, str]]
    ) -> None:
        """Send again what turned out not to be executed; records that the portal fails on every time are set aside.

        `key` gives entity, origin id and wanted fields. Raises PortalUnavailable when it fails on all of several.
        """
        first = len(todo)
        for _ in range(_ATTEMPTS):
            if not todo:
                return
            todo = await send(todo)
        if 0 < len(todo) < first or first == len(todo) == 1:
            error = PortalError("", f"the portal failed on it {_ATTEMPTS} times")
            self.ledger.settle(refused=[Refusal(*key(one), error) for one in todo])
            self.result.refused += len(todo)
        elif todo:
            raise PortalUnavailable(
                f"{self.portal.host} keeps losing our requests", hint="what was published stays; run it again later"
            )

    async def advance(self, entity: str, key: str) -> None:
        async with self._moved:
            self.reached[entity] = key
            self._moved.notify_all()

    async def wait_beyond(self, entity: str, key: str) -> None:
        """Wait until the lane of an entity has passed a key (END: until it is done)."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.reached[entity] != key)

    async def wait_for_end(self, entity: str) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self.reached[entity] == END)


def _first(group: BaseExceptionGroup) -> BaseException:
    """The exception to tell the operator: one that has a hint, else the first."""
    flat: list[BaseException] = []
    for error in group.exceptions:
        flat.append(_first(error) if isinstance(error, BaseExceptionGroup) else error)
    return next((error for error in flat if isinstance(error, OperatorError)), flat[0])
