"""What the operator sees while parts come in: bars on a terminal, a line a part, and when it will all be there."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Self

from rich.filesize import decimal
from rich.progress import DownloadColumn, TaskID, TextColumn

from ingest.backup.fetch import Download
from ingest.backup.links import PartName
from ingest.warehouse.terminal import progress_bars, say

RATE_WINDOW_S = 300.0  # the line is uneven: the rate is that of the last minutes
DRAW_EVERY_S = 0.2
_SAMPLE_S = 1.0


class MovingRate:
    """Bytes a second over the last minutes."""

    def __init__(self, window: float = RATE_WINDOW_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._window, self._clock, self._total = window, clock, 0
        self._samples = deque([(clock(), 0)])  # when, and bytes until then

    def add(self, number: int) -> None:
        """So many bytes came."""
        self._total += number
        now = self._clock()
        if now - self._samples[-1][0] >= _SAMPLE_S:
            self._samples.append((now, self._total))
        while len(self._samples) > 1 and self._samples[1][0] <= now - self._window:
            self._samples.popleft()

    def rate(self) -> float:
        """0 when nothing came yet."""
        began_at, before = self._samples[0]
        seconds = self._clock() - began_at
        return (self._total - before) / seconds if seconds > 0 else 0.0

    def ends_at(self, left: int) -> datetime | None:
        """When so many more bytes will be there, by this machine's clock; None when nothing comes."""
        rate = self.rate()
        return datetime.now().astimezone() + timedelta(seconds=left / rate) if rate else None


class Screen:
    """Bars of the parts under way and of them all; use as a context manager."""

    def __init__(self) -> None:
        self._bars = progress_bars(DownloadColumn(), TextColumn("{task.fields[note]}"))
        self._all: TaskID | None = None
        self._wanted: Sequence[Download] = ()
        self._tasks: dict[PartName, TaskID] = {}
        self._rate = MovingRate()
        self._drawn_at = 0.0
        self._done = self._count = 0  # parts

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()

    def begin(self, wanted: Sequence[Download], count: int) -> None:
        """These parts of so many are fetched from now on."""
        self._wanted, self._rate = wanted, MovingRate()
        self._done, self._count = count - len(wanted), count
        self._all = self._bars.add_task("all of them", total=None, note="")

    def part_begins(self, download: Download, note: str = "") -> None:
        """A part is under way now."""
        self._tasks[download.name] = self._bars.add_task(str(download.name), total=None, note=note)

    def read(self, download: Download, number: int) -> None:
        """So many bytes of a part that is there were read."""
        self._bars.update(self._tasks[download.name], total=download.file.size, advance=number)

    def part_ends(self, download: Download) -> None:
        """It is there, or did not come."""
        self._bars.remove_task(self._tasks.pop(download.name))

    def advance(self, number: int) -> None:
        """So many bytes of one of the parts came."""
        self._rate.add(number)
        if self._all is None or time.monotonic() - self._drawn_at < DRAW_EVERY_S:
            return
        self._drawn_at = time.monotonic()
        total, there = sum(part.size or 0 for part in self._wanted), sum(part.proof.size for part in self._wanted)
        self._bars.update(self._all, total=total, completed=there, note=self._forecast())
        for part in self._wanted:
            if part.name in self._tasks:
                self._bars.update(self._tasks[part.name], total=part.size, completed=part.proof.size)

    def tell(self, download: Download) -> None:
        """One line about a part that is there now."""
        self._done += 1
        took = f" at {rate_text(download.rate)}" if download.rate else ""
        rest = f"; {self._forecast()}" if self._done < self._count else ""
        say(f"{download.name}: {decimal(download.size or 0)} proven{took}; {self._done} of {self._count} parts{rest}")

    def _forecast(self) -> str:
        ends_at = self._rate.ends_at(sum((part.size or 0) - part.proof.size for part in self._wanted))
        if ends_at is None:
            return ""
        days = (ends_at.date() - datetime.now().astimezone().date()).days
        return f"{rate_text(self._rate.rate())}, all there about {ends_at:%H:%M}{f' in {days} days' if days else ''}"


def rate_text(rate: float) -> str:
    """For people: 742.1 kB/s."""
    return f"{decimal(int(rate))}/s"
