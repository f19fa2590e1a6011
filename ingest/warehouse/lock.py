"""A lock that a process holds while it works, and that ends with it: two of a kind never work at once."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.warehouse import private
from ingest.warehouse.errors import OperatorError

OVERLAPS = 75  # EX_TEMPFAIL of sysexits.h, as flock(1) is told to end in the Makefile


@contextmanager
def only_one(path: Path, *, setting: str, hint: str) -> Iterator[int]:
    """Hold the lock at `path`; yields its descriptor, for children to inherit.

    Raises OperatorError: with OVERLAPS and `hint` when another process holds it; else with `setting`, which says where
    it is, when it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.fdopen(private.create(path), "a")
    except OSError as error:
        raise OperatorError(f"{path} cannot be made: {error.strerror}", hint=f"check {setting}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperatorError(f"another run holds {path}", hint=hint, exit_status=OVERLAPS) from None
        yield lock.fileno()


@contextmanager
def only_run(warehouse: Path) -> Iterator[int]:
    """Hold the lock of a run: one cycle at a time, and nothing that moves the file while one goes on."""
    path = warehouse.with_name(f"{warehouse.name}.run.lock")
    with only_one(path, setting="SVOD_WAREHOUSE", hint="`make status` tells what it has done") as lock:
        yield lock
