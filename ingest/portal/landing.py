"""Portals of a landing step: read at once, each within its own limits; one that fails does not keep the other."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from time import monotonic

from rich.progress import Progress, TaskID

from ingest.bitrix24.pacing import Pace
from ingest.bitrix24.reading import ReadingClient
from ingest.landing import Landing
from ingest.portal.files import Store, read_files
from ingest.portal.snapshots import Figures, Snapshot
from ingest.portal.source import Reading, Wishes
from ingest.sources import PortalSource
from ingest.warehouse import journal
from ingest.warehouse.connection import transaction
from ingest.warehouse.terminal import progress_bars, say, say_aside

BURST = 50  # requests at once, of every plan but the largest (page `limits`)
OPERATING = 480.0  # seconds of work a method may take in ten minutes (page `limits`)


def land_portals(work: Landing, sources: Sequence[PortalSource], label: str, wishes: Wishes) -> None:
    """Read portals and land what changed. Raises what `landing` raises at its end."""
    with progress_bars() as bars:
        outcomes = asyncio.run(_read_all(work, sources, label, wishes, bars))
    landed = [source for source, outcome in zip(sources, outcomes, strict=True) if outcome is None]
    with work.going_on():
        asyncio.run(_read_all_files(work, landed))
    for source, outcome in zip(sources, outcomes, strict=True):
        with work.going_on(source, work.step.detail.setdefault(source.name, {})):
            if isinstance(outcome, BaseException):
                raise outcome


async def _read_all(
    work: Landing, sources: Sequence[PortalSource], label: str, wishes: Wishes, bars: Progress
) -> list[BaseException | None]:
    readings = [_read(work, source, label, wishes, bars, bars.add_task(source.name, total=None)) for source in sources]
    return await asyncio.gather(*readings, return_exceptions=True)


async def _read(work: Landing, source: PortalSource, label: str, wishes: Wishes, bars: Progress, bar: TaskID) -> None:
    started = monotonic()
    async with _client(source) as client:
        snapshot = Snapshot(
            work.connection, source.name, source.portal, label, anew=wishes.anew, reads_all=wishes.all_parts
        )
        if snapshot.is_resumed:
            say(f"{source.name}: going on with snapshot {snapshot.snapshot_id}, which broke off")
        reading = Reading(client, snapshot, wishes, partial(bars.advance, bar))
        figures = await reading.run(work.step.run_id)
        seconds = monotonic() - started
    _tell(work, source, snapshot, figures, client.requests, seconds)
    for name in reading.unread:
        say(f"{source.name}: {name} could not be read: where they are to move, give the webhook the right for them")


def _tell(
    work: Landing, source: PortalSource, snapshot: Snapshot, figures: dict[str, Figures], requests: int, seconds: float
) -> None:
    """The figures of a snapshot in the journal, and on the terminal."""
    read, landed, gone = (sum(numbers) for numbers in zip(*figures.values(), strict=True))
    work.step.rows_in += read
    work.step.rows_out += landed
    told = {"snapshot": snapshot.snapshot_id, "requests": requests, "seconds": round(seconds, 1)}
    work.step.detail[source.name] = {**told, **figures}
    with transaction(work.connection):
        position = f"snapshot {snapshot.snapshot_id}"
        journal.set_watermark(work.connection, source.name, position, work.step.run_id)
    took = timedelta(seconds=round(seconds))
    say(
        f"{source.name}: snapshot {snapshot.snapshot_id} of {source.portal} is complete: {read} records read in "
        f"{requests} requests and {took}, {landed} new or changed landed, {gone} gone"
    )


async def _read_all_files(work: Landing, sources: Sequence[PortalSource]) -> None:
    """Read files by their content, when it is known what each portal has."""
    store = Store(work.settings.files_folder, int(work.settings.transfer.file_mb * 1024**2))
    for source in sources:
        async with _client(source) as client:
            read, unread = await read_files(
                work.connection, client, source.name, source.portal, store, work.step.run_id
            )
        work.step.detail[source.name]["files"] = {"read": read, "unread": unread}
        if read or unread:
            lacking = f", {unread} could not be: transfer.files says why" if unread else ""
            say(f"{source.name}: {read} files read by their content{lacking}")


def _client(source: PortalSource) -> ReadingClient:
    pace = Pace(source.rate, BURST, OPERATING if source.rate else 0.0)
    pace.on_wait = lambda what, until: say_aside(f"{source.name}: waiting for {what}")
    pace.on_pause = lambda text: say_aside(f"{source.name}: {text}")
    return ReadingClient(source.address, pace, variable=source.variable("webhook"))
