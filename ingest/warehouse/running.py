"""What goes on now: `<warehouse>.running`, a few words beside the warehouse, to be read while a step holds that.

DuckDB lets nobody look into a file that another process writes, so the journal cannot be asked how far a step is. The
file tells the step, since when, how far, and by which process, so that one that was killed is not taken for one that
works. It holds names of steps, tables and kinds of cards, and numbers.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

_EVERY_S = 1.0  # so often it is written anew, at the most
_BIRTH = 19  # field `starttime` of /proc/PID/stat, counted behind the name: proc(5)


@dataclass(frozen=True, slots=True)
class Running:
    """A step that goes on: its process, the run it belongs to, since when (seconds since 1970), how far. `total` is 0
    where nobody knows it."""

    step: str
    run_id: str
    pid: int
    birth: str
    started_at: float
    what: str = ""
    done: int = 0
    total: int = 0
    is_run: bool = False  # several steps, which come one after another

    @property
    def is_alive(self) -> bool:
        """Whether its process is still there, and is no other one of the same number."""
        return bool(self.birth) and _birth(self.pid) == self.birth

    @property
    def seconds(self) -> float:
        return max(0.0, time.time() - self.started_at)

    @property
    def progress(self) -> str:
        """How far it is, in words; '' where it has not told."""
        if not self.what:
            return ""
        if not self.total:
            return f"{self.what}: {self.done:,}" if self.done else self.what
        return f"{self.what}: {self.done:,} of {self.total:,} ({100 * self.done // self.total} %)"


class Told:
    """What this process tells. A step within another takes its place, and gives it back."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._current: Running | None = None
        self._before: list[tuple[Path | None, Running | None]] = []
        self._written_at = 0.0

    @contextmanager
    def step(self, warehouse: Path | None, name: str, run_id: str, *, is_run: bool = False) -> Iterator[None]:
        """A step goes on; with no warehouse (one in memory) nothing is written."""
        self._begin(warehouse, name, run_id, is_run)
        try:
            yield
        finally:
            self._end()

    def _begin(self, warehouse: Path | None, step: str, run_id: str, is_run: bool) -> None:
        self._before.append((self._file, self._current or (seen(warehouse) if warehouse else None)))
        self._file = running_path(warehouse) if warehouse else None
        self._current = Running(step, run_id, os.getpid(), _birth(os.getpid()), time.time(), is_run=is_run)
        self._write()

    def progress(self, what: str, done: int, total: int) -> None:
        """How far the step is."""
        if self._current is None:
            return
        self._current = replace(self._current, what=what, done=done, total=total)
        if time.monotonic() - self._written_at >= _EVERY_S:
            self._write()

    def _end(self) -> None:
        """What it was a part of goes on, if that is still there. A run that was killed is still told of, until another
        run has ended: what it had not come to has not been done."""
        ended_in, ended = self._file, self._current
        file, before = self._before.pop()
        is_ours = before is not None and before.pid == os.getpid()
        self._file, self._current = (file, before) if is_ours else (None, None)
        is_untold = before is not None and before.is_run and ended is not None and not ended.is_run
        if before is not None and ended_in and (before.is_alive or is_untold):
            _put(ended_in, before)
        elif ended_in:
            with suppress(OSError):
                ended_in.unlink(missing_ok=True)

    def _write(self) -> None:
        self._written_at = time.monotonic()
        if self._file and self._current:
            _put(self._file, self._current)


told = Told()  # a process does one step at a time


def running_path(warehouse: Path) -> Path:
    """Where it is."""
    return warehouse.with_name(f"{warehouse.name}.running")


def seen(warehouse: Path) -> Running | None:
    """The step that was told of last and did not end, alive or killed; None when there is none."""
    try:
        return Running(**json.loads(running_path(warehouse).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _put(file: Path, running: Running) -> None:
    """Whole or not at all; that there is no room for it stops no step."""
    new = file.with_name(f"{file.name}.{os.getpid()}")
    with suppress(OSError):
        new.write_text(json.dumps(asdict(running), ensure_ascii=False), encoding="utf-8")
        new.replace(file)


def _birth(pid: int) -> str:
    """When a process was born, in the kernel's ticks; '' when there is none of this number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()[_BIRTH]
    except (OSError, IndexError):
        return ""
