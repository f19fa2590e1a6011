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


def computed(pid: int | None) -> float:
    """Seconds of the processor that a process has had."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Killer:
    """Starts programs with some settings, and kills them; what they say goes to `log`."""

    def __init__(self, environment: Mapping[str, str], log: Path, dice: random.Random) -> None:
        self.environment, self.log, self.dice, self.context = environment, log, dice, context()

    def start(self, program: str, *arguments: str) -> ForkServerProcess:
        process = self.context.Process(target=_main, args=(program, arguments, self.environment, self.log))
        process.start()
        return process

    def kill(self, process: ForkServerProcess, after: float) -> bool:
        """Kill a process when it has computed for so many seconds: on a loaded machine it comes no further in a time.
        Whether it was still alive."""
        until = time.monotonic() + 30 * after
        while process.is_alive() and computed(process.pid) < after and time.monotonic() < until:
            time.sleep(0.005)
        if not process.is_alive():
            return False
        assert process.pid, "it was started"
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        return True
