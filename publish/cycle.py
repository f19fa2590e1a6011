"""What a cycle of programs shares: the lock they inherit, their environment, how each ended. Each step is a program of
its own, so that what ends it ends nothing else."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from ingest.warehouse import journal
from ingest.warehouse.environment import said_in_file
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.snapshot import make_snapshot
from ingest.warehouse.terminal import print_error
from publish.settings import Settings

BIN = Path(sys.executable).parent
PROJECT = Path(__file__).parents[1] / "dbt_project"
MODELS = PROJECT / "passes.py"
GRAVEST_FIRST = (2, 3, 1, 4)  # exit statuses: which of several the cycle ends with


@dataclass(frozen=True)
class Cycle:
    """What the steps of one cycle share: the lock they inherit, their environment, and how each ended."""

    lock: int
    environment: dict[str, str]
    statuses: dict[str, int]

    def step(self, name: str, *command: str | Path) -> int:
        """Run a step to its end and keep its exit status, which is answered; 1 for one that a signal ended."""
        sys.stdout.flush()  # what was said before it comes before what it says
        # A cycle that is killed leaves its step the lock: no other may begin while that still writes.
        with subprocess.Popen([*command], env=self.environment, pass_fds=[self.lock], process_group=0) as process:
            try:
                ended = process.wait()
            except BaseException:  # what the step has started ends with it
                os.killpg(process.pid, signal.SIGKILL)
                raise
        self.statuses[name] = ended if ended in (0, *GRAVEST_FIRST) else 1
        return self.statuses[name]


def environment(settings: Settings) -> dict[str, str]:
    """The environment with what only `.env` says: dbt reads no such file."""
    said = said_in_file()
    run_id = {"SVOD_RUN_ID": journal.current_run_id(), "SVOD_WAREHOUSE": str(settings.warehouse)}
    return (
        {name: value for name, value in said.items() if value is not None}
        | _dbt_folders(settings)
        | os.environ
        | run_id
    )


def _dbt_folders(settings: Settings) -> dict[str, str]:
    """Where dbt writes what it compiles, and its log: a checkout has folders for that; what is installed from a wheel
    lies among packages, which a run leaves alone."""
    if (PROJECT.parent / "pyproject.toml").exists():
        return {}
    beside = str(settings.warehouse.absolute().with_name(f"{settings.warehouse.name}.dbt"))
    return {"DBT_TARGET_PATH": beside, "DBT_LOG_PATH": beside}


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the running step as well, and what that has started (killed: each may be, at any moment)."""

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def copy_for_readers(settings: Settings) -> bool:
    """Make the copy; that it cannot be made is said, and is no reason to stop. Whether it was made."""
    try:
        return make_snapshot(settings.warehouse, settings.readers_group, mask=settings.inspect_mask)
    except OperatorError as error:
        print_error(error)
        return False
