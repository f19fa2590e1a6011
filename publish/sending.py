"""One push as a step of the journal, for the command and for the process that stays."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict
from typing import Any, NamedTuple, Protocol

import duckdb

from ingest.bitrix24.client import Client
from ingest.bitrix24.pacing import Pace
from ingest.warehouse import journal
from publish import gate
from publish.bitrix24 import push as pushes
from publish.bitrix24.parts import PARTS
from publish.bitrix24.run import Progress, Result
from publish.ledger import Ledger
from publish.settings import Settings
from publish.words import Words


class Wishes(NamedTuple):
    """What the operator has asked for, this once."""

    let_through: bool = False
    take_over: bool = False


class Told(Progress, Protocol):
    """Who is told how far a push is, and what it waits for."""

    def pausing(self, text: str) -> None: ...
    def waiting(self, what: str, until: float) -> None: ...


def pace_of(settings: Settings) -> Pace:
    """How fast the portal may be used. Who pushes again and again keeps it: the portal counts on in between."""
    return Pace(settings.bitrix24_rate, settings.bitrix24_burst, settings.operating_limit)


def push(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    step: journal.Step,
    pace: Pace,
    told: Told,
    wishes: Wishes = Wishes(),  # noqa: B008
    run: Callable[[Coroutine[Any, Any, Result]], Result] = asyncio.run,
) -> Result:
    """Pass the gates, and bring the portal to what the marts say. Raises what `gate.check` and the push raise."""
    settings.webhook()
    gate.check(connection, PARTS, settings.source_max_age_hours)
    pace.on_wait, pace.on_pause = told.waiting, told.pausing
    result = run(_push(connection, settings, step, pace, told, wishes))
    step.rows_out = sum(result.created.values()) + sum(result.updated.values())
    step.detail |= asdict(result)
    return result


async def _push(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    step: journal.Step,
    pace: Pace,
    told: Told,
    wishes: Wishes,
) -> Result:
    async with Client(settings.webhook(), pace) as client:
        ledger = Ledger(connection, settings.portal, words=Words.of(settings))
        try:
            return await pushes.push(
                ledger, client, settings, let_through=wishes.let_through, take_over=wishes.take_over, progress=told
            )
        finally:
            step.detail["requests"] = client.requests


def counted(counts: dict[str, int]) -> str:
    """Numbers by kind of part, in a line: in the order of the parts, whichever lane was the first to be done."""
    order = [part.entity for part in PARTS]
    kinds = sorted(counts, key=lambda kind: order.index(kind) if kind in order else len(order))
    return ", ".join(f"{kind} {counts[kind]:,}" for kind in kinds) or "nothing"


def lines(result: Result) -> Iterator[str]:
    """What a push did and what it left, for people."""
    told = f"created {counted(result.created)}; updated {counted(result.updated)}; {result.requests:,} requests"
    yield f"publish push: {told}"
    if result.adopted:
        yield f"publish push: {result.adopted:,} parts that were in the portal already were adopted"
    for number, table, what in (
        (
            result.conflicts, "conflicts",
            "fields were changed by managers and left alone: SVOD_FIELD_OWNERS says whose value stands",
        ),
        (
            result.duplicates, "adoption_duplicates",
            "records could be cards that are there: join those in the portal, or leave one INN in each",
        ),
        (
            result.deletions, "deletions",
            "parts were deleted in the portal and stay away: `publish retry --id ID` makes one again",
        ),
    ):  # fmt: skip
        if number:
            yield f"publish push: {number:,} {what} (`publish status --details` lists them; all are in sync.{table})"
