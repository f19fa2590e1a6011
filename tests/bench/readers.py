"""Readers in a loop beside a full run and `publish follow`: nobody gets half an answer, and no run is disturbed.

One of them is an analyst who opens the copy as a notebook does, asks the selects of docs/warehouse.md and what has to
be true of a warehouse at any moment, and keeps an older copy open. The others are the commands of people: `status`,
`plan`, `report`, `inspect`, `explain`, one after another without end.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from ingest.warehouse.snapshot import snapshot_path
from tests.installation import ROOT, Installation

PAGE_OF_SELECTS = ROOT / "docs" / "warehouse.md"
# What is true of a whole warehouse at any moment, as counts of what contradicts it.
TRUE_AT_ANY_MOMENT = {
    "companies that are neither in the CRM nor rejected": """
        select count(*) from (select source, source_id from intermediate.int_companies__outcomes
        except all (select source, source_id from marts.xref_companies union all
                    select source, source_id from marts.rejected_companies))""",
    "links to nobody": """
        select count(*) from marts.crm_company_contacts
        where company_id not in (select company_id from marts.crm_companies)
           or contact_id not in (select contact_id from marts.crm_contacts)""",
    "deals of no company": """
        select count(*) from marts.crm_deals where company_id not in (select company_id from marts.crm_companies)""",
    "marts that are not as they were stamped": """
        select count(*) from ops.mart_stamps join (
            select 'crm_companies' as mart, count(*) as counted from marts.crm_companies
            union all select 'crm_contacts', count(*) from marts.crm_contacts
            union all select 'crm_deals', count(*) from marts.crm_deals
        ) using (mart) where row_count <> counted""",
    "companies with an INN of another": "select count(inn) - count(distinct inn) from marts.crm_companies",
}
# What a command may say instead of an answer as long as nothing has been built.
NOTHING_YET = re.compile(
    "there is no warehouse|nothing to publish|there is no copy of it yet|does not exist|or never|not been built"
)
DISTURBED = re.compile(r".*(?:which reads it: waiting|is open in|Traceback|copy for readers cannot).*")


@dataclass
class Seen:
    """How often each reader was answered, how long the slowest took, which copies there were, and what was wrong."""

    answered: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    copies: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def told(self) -> Iterator[str]:
        for reader, count in sorted(self.answered.items()):
            yield f"{reader}: answered {count:,} times, the slowest in {self.slowest[reader]:.1f} s"
        yield f"{len(self.copies)} copies were read; {len(self.wrong)} wrong answers"
        yield from self.wrong[:20]


class Readers:
    """The readers of one installation, from `start` to `stop`; at most one command runs at a time."""

    def __init__(self, svod: Installation, pause: float) -> None:
        self.seen, self._svod, self._pause = Seen(), svod, pause
        self._copy = snapshot_path(svod.warehouse)
        self._is_over, self._is_built = threading.Event(), threading.Event()
        block = re.search(r"```sql\n(.*?)```", PAGE_OF_SELECTS.read_text("utf-8"), re.DOTALL)
        self._selects = [select for select in block[1].split(";") if select.strip()] if block else []
        self._threads = [threading.Thread(target=loop, daemon=True) for loop in (self._analyse, self._command)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Raises AssertionError where one of them had ended before, which then has seen less than it should."""
        assert all(thread.is_alive() for thread in self._threads), "a reader has ended"
        self._is_over.set()
        for thread in self._threads:
            thread.join(300)

    def _answered(self, reader: str, began: float) -> None:
        self.seen.answered[reader] += 1
        self.seen.slowest[reader] = max(self.seen.slowest.get(reader, 0.0), time.monotonic() - began)

    def _analyse(self) -> None:
        kept: tuple[duckdb.DuckDBPyConnection, list[tuple]] | None = None
        while not self._is_over.wait(self._pause):
            was_built, began = self._is_built.is_set(), time.monotonic()
            if not self._copy.exists():
                if was_built:
                    self.seen.wrong.append("analyst: the copy is gone")
                continue
            connection = self._opened()
            try:
                for select in self._selects:
                    connection.execute(select).fetchall()
                for what, counted in TRUE_AT_ANY_MOMENT.items():
                    ((count,),) = connection.execute(counted).fetchall()
                    if count:
                        self.seen.wrong.append(f"analyst: {count} {what}")
                answer = connection.execute("from ops.mart_stamps order by all").fetchall()
                if kept:
                    if kept[0].execute("from ops.mart_stamps order by all").fetchall() != kept[1]:
                        self.seen.wrong.append("analyst: a copy that was kept open is another one now")
                    kept[0].close()
                kept = (connection, answer)
            except duckdb.Error as error:
                connection.close()
                if was_built or not re.search("does not exist", str(error)):
                    self.seen.wrong.append(f"analyst: {error}")
                continue
            self._is_built.set()
            self._answered("analyst", began)

    def _opened(self) -> duckdb.DuckDBPyConnection:
        """The copy that is there now, by a name of its own: under one name a program gets what it has open already."""
        own = self._copy.with_name(f"read-{time.monotonic_ns()}.duckdb")
        os.link(self._copy, own)
        self.seen.copies.add(own.stat().st_ino)
        try:
            return duckdb.connect(str(own), read_only=True)
        finally:
            own.unlink()

    def _command(self) -> None:
        report = str(self._svod.folder / "read.html")
        commands = {
            "status": ("publish", "status"),
            "plan": ("publish", "plan", "--show", "5"),
            "report": ("publish", "report", "--out", report),
            "inspect": ("ingest", "inspect", "--sql", "select count(*) from marts.crm_companies"),
            "explain": ("publish", "explain", "shop_a:1"),
        }
        while True:
            for name, command in commands.items():
                if self._is_over.wait(self._pause):
                    return
                was_built, began = self._is_built.is_set(), time.monotonic()
                program = str(Path(sys.executable).parent / command[0])
                ended = subprocess.run(
                    [program, *command[1:]],
                    cwd=ROOT,
                    env=self._svod.environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    text=True,
                )
                if self._is_wrong(name, ended, was_built):
                    self.seen.wrong.append(f"{name} ended with {ended.returncode}: {ended.stdout.strip()[:600]}")
                else:
                    self._answered(name, began)

    @staticmethod
    def _is_wrong(name: str, ended: "subprocess.CompletedProcess[str]", was_built: bool) -> bool:
        if "Traceback" in ended.stdout:
            return True
        if name == "status" and ended.returncode == 1:  # its verdict may be that something is wrong, as nothing yet is
            return not re.search(r"^NOT OK: ", ended.stdout, re.MULTILINE)
        return ended.returncode != 0 and (was_built or not NOTHING_YET.search(ended.stdout))


@contextmanager
def reading(svod: Installation, seen: Callable[[Seen], None], pause: float = 1.0) -> Iterator[None]:
    """Readers for as long as it lasts. What they saw is handed on, with what the logs of runs say of them."""
    readers = Readers(svod, pause)
    readers.start()
    yield
    readers.stop()
    for log in (svod.folder / "full.log", svod.folder / "follow.log"):
        if log.exists():
            readers.seen.wrong += [f"{log.name}: {line}" for line in DISTURBED.findall(log.read_text())]
    seen(readers.seen)


def cost_of_a_copy(svod: Installation) -> tuple[float, float, float]:
    """Seconds by the clock, processor seconds, megabytes of a copy that `ingest copy` makes of what is there now, less
    what the program takes to start."""

    def measured(*command: str) -> tuple[float, float]:
        began, before = time.monotonic(), os.times()
        ended = svod.tool(*command)
        if ended.status:
            raise RuntimeError(ended.output)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        return time.monotonic() - began, spent

    start, copied = measured("ingest", "copy", "--help"), measured("ingest", "copy")
    return copied[0] - start[0], copied[1] - start[1], snapshot_path(svod.warehouse).stat().st_size / 1e6
