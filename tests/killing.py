"""Programs of ours that are killed at random moments, each a process of its own that has all its imports already."""

import contextlib
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

_PROGRAMS = ("ingest.cli", "publish.cli")


def context() -> ForkServerContext:
    """Where such processes come from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PROGRAMS, "ingest.backup.run", "ingest.portal.landing", "publish.sandbox"])
    return context


def _main(program: str, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path) -> None:
    from ingest.warehouse import terminal

    os.environ.update(environment)
    sys.argv = [program, *arguments]
    with log.open("a") as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        terminal.console.file = out
        terminal.errors.file = out
        __import__(f"{program}.cli", fromlist=["main"]).main()


def computed(pid: int | None, *, with_ended: bool = False) -> float:
    """Seconds of the processor that a process has had; with those that it has started and that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("inf")
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / os.sysconf("SC_CLK_TCK")


def _descendants(pid: int) -> list[int]:
    """Processes that a process has started and that have not ended, with theirs."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [one for child in children for one in (child, *_descendants(child))]


def _computed_by_all(pid: int | None) -> float:
    """The same of it and all that it has started, ended or not."""
    started = [computed(one, with_ended=True) for one in (_descendants(pid) if pid else [])]
    return computed(pid, with_ended=True) + sum(seconds for seconds in started if seconds != float("inf"))


class Killer:
    """Starts programs with some settings, and kills them; what they say goes to `log`."""

    def __init__(self, environment: Mapping[str, str], log: Path, dice: random.Random) -> None:
        self.environment, self.log, self.dice, self.context = environment, log, dice, context()

    def start(self, program: str, *arguments: str) -> ForkServerProcess:
        process = self.context.Process(target=_main, args=(program, arguments, self.environment, self.log))
        process.start()
        return process

    def kill(self, process: ForkServerProcess, after: float, *, spares_steps: bool = False) -> bool:
        """Kill a process with all that it has started, or, to spare those, it alone, when they have computed for so
        many seconds: on a loaded machine they come no further in a time. Whether it was still alive."""
        until = time.monotonic() + 30 * after
        while process.is_alive() and _computed_by_all(process.pid) < after and time.monotonic() < until:
            time.sleep(0.005)
        if not process.is_alive():
            return False
        assert process.pid, "it was started"
        started = [] if spares_steps else _descendants(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        for one in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        process.join()
        return True
