"""A lock that a process holds while it works, and that ends with it: two of a kind never work at once."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ingest.warehouse import private
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.terminal import say_aside

OVERLAPS = 75  # EX_TEMPFAIL of sysexits.h, as flock(1) is told to end in the Makefile


@contextmanager
def only_one(path: Path, *, setting: str, hint: str, holder: str = "") -> Iterator[int]:
    """Hold the lock at `path`; yields its descriptor, for children to inherit. `holder` is who holds it, for people.

    Raises OperatorError: with OVERLAPS and `hint` when another process holds it; else with `setting`, which says where
    it is, when it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.fdopen(private.create(path), "a+", encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"{path} cannot be made: {error.strerror}", hint=f"check {setting}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            other, _, advice = lock.read().strip().partition("\n")
            problem = f"{other or 'another run'} holds {path}"
            raise OperatorError(problem, hint=advice or hint, exit_status=OVERLAPS) from None
        lock.truncate(0)  # what one wrote that was killed
        lock.write(holder)
        lock.flush()
        try:
            yield lock.fileno()
        finally:
            lock.truncate(0)


@contextmanager
def only_run(warehouse: Path, holder: str = "") -> Iterator[int]:
    """Hold the lock of a run: one cycle at a time, and nothing that moves the file while one goes on. `holder` is who
    it is, and on a second line what to do about it, where that is not just any run."""
    holder = holder or f"another run (process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC)"
    path = warehouse.with_name(f"{warehouse.name}.run.lock")
    with only_one(path, setting="SVOD_WAREHOUSE", hint="`make status` tells what it has done", holder=holder) as lock:
        yield lock


@contextmanager
def one_after_the_other(path: Path, *, waits: str) -> Iterator[None]:
    """Wait for the lock at `path` and hold it; what is waited for is said. Where there can be none, nobody waits."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError:
        yield
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say_aside(f"{waits}: waiting for it to end")
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it with a program that is killed
        yield
