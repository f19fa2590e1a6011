"""One installation of Svod as its operator has it: settings in the environment, make targets, a warehouse to look into.

The demo, the whole-run tests and the bench all drive the product through this, from outside.
"""

import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

ROOT = Path(__file__).parent.parent
# Where a checkout keeps the models compiled: once for all tests, for they are known by their content.
COMPILED = Path(".cache", "compiled")
# Where dbt keeps what it has parsed, for those who call it themselves: each worker its own, dbt locks nothing.
DBT_TARGET = Path(".cache", "dbt", os.environ.get("PYTEST_XDIST_WORKER", "alone"))


class PeakMemory(threading.Thread):
    """Follows a process to its end and keeps the peak of its resident memory.

    What wait4 tells (ru_maxrss) will not do: it counts the caller's own memory at the moment of the fork as well.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.mb = 0.0
        self._status = Path(f"/proc/{pid}/status")
        self.start()

    def run(self) -> None:
        try:
            while peak := re.search(r"VmHWM:\s+(\d+) kB", self._status.read_text()):
                self.mb = int(peak[1]) / 1024
                time.sleep(0.01)
        except OSError:
            return  # the process is gone


@dataclass(frozen=True)
class Ended:
    """A command that ended: its exit status, what it printed, how long it took, and its peak resident memory."""

    status: int
    output: str
    seconds: float
    peak_mb: float


@dataclass
class Installation:
    """A folder with a warehouse, and the settings every command run for it gets."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    checkout: Path = ROOT  # whose code runs: this checkout's, or another's with a virtual environment of its own

    @property
    def warehouse(self) -> Path:
        return self.folder / "svod.duckdb"

    @property
    def environment(self) -> dict[str, str]:
        """The caller's environment without its own SVOD_* settings and without its `.env`, plus this one's."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SVOD_", "MAKE"))}
        return inherited | {
            "SVOD_ENV_FILE": os.devnull,
            "SVOD_WAREHOUSE": str(self.warehouse),
            "DBT_TARGET_PATH": str(self.checkout / COMPILED),
            "DBT_LOG_PATH": str(self.folder / "dbt"),
            **self.settings,
        }

    def run(self, *command: str, echo: bool = False) -> Ended:
        """Run a command from the checkout's root to its end, its output and errors as one text."""
        self.folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=self.checkout,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        peak = PeakMemory(process.pid)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if echo:
                print("  " + line, end="", flush=True)
        process.wait()
        process.stdout.close()
        return Ended(process.returncode, "".join(lines), time.monotonic() - started, peak.mb)

    def make(self, target: str, *arguments: str, echo: bool = False) -> Ended:
        """Run a make target. A virtual environment that is out of date stays: this program itself may run in it."""
        return self.run("make", "--no-print-directory", "--old-file=.venv/.ready", target, *arguments, echo=echo)

    def tool(self, name: str, *arguments: str) -> Ended:
        """Run one of the project's own commands (`ingest`, `publish`, `dbt`) from the virtual environment."""
        if name == "dbt":
            arguments += ("--target-path", str(self.checkout / DBT_TARGET))
        bin_folder = Path(sys.executable).parent if self.checkout == ROOT else self.checkout / ".venv" / "bin"
        return self.run(str(bin_folder / name), *arguments)

    def query(self, sql: str, parameters: list[object] | None = None) -> list[tuple]:
        """Rows of a query on the warehouse; no step may hold it at that moment."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql, parameters or []).fetchall()
