"""Kills the publisher at random moments over a bad connection, and between the kills all else goes wrong that can; then
compares portals, ledger and marts (`make chaos`).

Between two kills one of these may happen. The warehouse is put back from the copy of last evening, and then publishes
once before the portal is another one. (From no older copy: phones, titles and links that were sent since then, and
have changed at the sources again, count as a manager's, for nothing in the portal tells them from one's. For the same
reason no backup of a portal is put back that was made since that copy was.) The portal is backed up; it is put back
from one of its backups, which may be one of a time that was given up before, and strangers get the numbers of the
cards that are lost; another portal, where strangers' cards have the numbers of ours, answers at its address, and later
the first one again. People type companies in, also such as the sources will bring, edit what we sent, and delete it. A
source fails for a day. Some pushes are let to their end, within a time limit. Whenever all is published, the next day
comes, with changes of every kind.

Nothing is let through beforehand. A push that the change limit stops is looked at by an operator, who confirms it where
something happened since the last one that ended well which explains so many changes; else it is a run that freezes.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path

from ingest.warehouse.connection import open_warehouse
from publish.sandbox import Portal
from tests.chaos import days
from tests.chaos.days import DAYS, Day
from tests.chaos.people import Managers
from tests.chaos.portals import Address, Site
from tests.publish import marts

LONGEST_LIFE = 3.0  # seconds until a publisher is killed, at the most; more where the last one took more to its end
TIME_LIMIT = 300  # seconds that a publisher may take that is not killed; more is a freeze
MOST_PUSHES = 20  # until all is published: with much to send, one request in twenty is spoiled, and may end a push
STRANGERS_ELSEWHERE = 60
# A day changes less of any kind than this; the sources are no surprise to the operator.
FUSE_SHARE = 0.4
STOPPED = 3  # exit status
# What an operator knows to change much: a portal is filled anew, or what was sent before is to be sent again.
EXPLAIN = ("put back portal", "put back warehouse", "swap")
# One of these happens between two kills, in an order by chance; all of them, before one happens again.
DECK = (
    *("people", "people", "people", "people", "people", "source fails", "let it end", "let it end"),
    *("back up", "put back portal", "put back warehouse", "swap"),
)


@dataclass
class Outcome:
    """What a chaos run came to: kills that hit a living publisher, those that left creates unanswered, what else went
    wrong between them, and the differences at the end, of which there must be none."""

    kills: int = 0
    with_open_intents: int = 0
    days: int = 1
    older_warehouses: int = 0
    backups: int = 0
    restored_portals: int = 0
    swaps: int = 0
    failed_sources: int = 0
    people: Counter[str] = field(default_factory=Counter)
    counts: dict[str, int] = field(default_factory=dict)
    faults: int = 0
    differences: list[str] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    pushes: Counter[tuple[str, str]] = field(default_factory=Counter)  # event before it, how it ended
    confirmed: Counter[str] = field(default_factory=Counter)  # what explained it


class Chaos:
    """One run, in a folder of its own."""

    def __init__(self, seed: int, fault_rate: float, folder: Path, deck: Sequence[str] = DECK) -> None:
        self.dice, self.outcome, self.deck = random.Random(seed), Outcome(), deck
        self.folder, self.warehouse, self.log = folder, folder / "svod.duckdb", folder / "publish.log"
        self.copy, self.copied_on = folder / "copy.duckdb", 0
        self.is_put_back = False  # the warehouse was, and has not published since
        self.day, self.fails_next = Day(1), ""
        self.context: ForkServerContext = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["publish.cli", "publish.sandbox", "tests.chaos"])
        self.address = Address(self.context, fault_rate, self.dice)
        self.home, self.elsewhere = Site(folder / "home"), Site(folder / "elsewhere")
        self.site = self.home
        self._deck: list[str] = []
        self._since: list[str] = []  # what happened since a push last ended well
        self._last = "nothing"  # what happened last
        self._life = LONGEST_LIFE

    # What happens ----------------------------------------------------------------------------------------------------

    def begin(self, companies: int, contacts: int) -> None:
        """Marts of the first day, the copy of the evening before, a portal with some strangers in it."""
        with contextlib.closing(open_warehouse(self.warehouse)) as connection:
            marts.prepare(connection)
            marts.fill(connection, companies, contacts, contacts // 4)
        self._copy_warehouse()
        self.open(self.home, strangers=5)

    def open(self, site: Site, strangers: int = 0) -> None:
        """Have a portal answer; strangers come to it."""
        self.site = site
        self.address.open(site)
        if strangers:
            self.with_managers(lambda managers: managers.type_in_strangers(strangers))
        if not site.backups:  # the first one has no card of ours, and no mark
            site.back_up()

    def with_managers(self, do: Callable[[Managers], None]) -> None:
        with self.address.without_faults() as client, contextlib.closing(Portal.of(self.site.state)) as portal:
            do(Managers(self.site.people, portal, client, self.dice))

    def something_happens(self) -> bool:
        """The next card of the deck; whether the publisher that comes may end."""
        if not self._deck:
            self._deck = self.dice.sample(self.deck, len(self.deck))
        event = self._deck.pop()
        self._note(event)
        self._happened(event)
        match event:
            case "people":
                self.with_managers(self._people_work)
            case "back up":
                self.site.back_up()
                self.outcome.backups += 1
            case "put back portal":
                self.address.close()
                self.site.put_back(self.dice.choice(self.site.backups[-3:]))
                self.open(self.site, strangers=5)
                self.outcome.restored_portals += 1
            case "put back warehouse":
                self._put_back_warehouse()
            case "swap" if not self.is_put_back:
                self._swap()
            case "source fails":
                self.fails_next = self.dice.choice(sorted(days.KINDS))
        return event == "let it end"

    def _happened(self, event: str) -> None:
        self.outcome.events[event] += 1
        self._since.append(event)
        self._last = event

    def _note(self, text: str) -> None:
        """A line between what the publisher says."""
        with self.log.open("a") as log:
            log.write(f"-- {text}\n")

    def _people_work(self, managers: Managers) -> None:
        deed = self.dice.choice(("edit", "edit", "edit", "delete", "company to come", "strangers"))
        if deed == "edit":
            told = managers.edit()
        elif deed == "delete":
            told = managers.delete()
        elif deed == "strangers":
            managers.type_in_strangers(1)
            told = "strangers typed in"
        else:
            with contextlib.closing(open_warehouse(self.warehouse)) as connection:
                # Typed in twice, it would wait for a person to join the two.
                typed = self.site.people.apart.typed_inns
                inns = [inn for inn in days.inns_to_come(connection, self.day.number + 1) if inn not in typed]
            told = "company to come typed in" if inns else ""
            if inns:
                managers.type_in_company(self.dice.choice(inns))
        if told:
            self._note(f"{told} ({self.site.folder.name})")
            self.outcome.people[told] += 1

    def _copy_warehouse(self) -> None:
        shutil.copy(self.warehouse, self.copy)
        self.copied_on = self.day.number
        for site in (self.home, self.elsewhere):
            site.known_backups = len(site.backups)

    def _put_back_warehouse(self) -> None:
        """What a day's changes were made to the marts since the copy comes again, as the sources bring it again."""
        days.put_back(self.copy, self.warehouse)
        for site in (self.home, self.elsewhere):
            del site.backups[max(site.known_backups, 1) :]
        if self.copied_on != self.day.number:
            self._day_happens()
        self.is_put_back = True
        self.outcome.older_warehouses += 1

    def _swap(self) -> None:
        self._copy_warehouse()  # else the copy may know less of a portal than was sent there days before it returns
        other = self.elsewhere if self.site is self.home else self.home
        self.open(other, strangers=0 if other.people.strangers else STRANGERS_ELSEWHERE)
        self.outcome.swaps += 1

    def next_day(self) -> None:
        """All is published: the evening's copy is made, and the sources bring the next changes."""
        self.is_put_back = False
        self._copy_warehouse()
        self.day, self.fails_next = Day(self.day.number % DAYS + 1, self.fails_next), ""
        self.outcome.days += 1
        self.outcome.failed_sources += bool(self.day.failing)
        self._note(f"day {self.day.number}")
        self._day_happens()

    def _day_happens(self) -> None:
        with contextlib.closing(open_warehouse(self.warehouse)) as connection:
            days.happens(connection, self.day)

    # The publisher ---------------------------------------------------------------------------------------------------

    def publish(self, seconds: float) -> int | None:
        """Exit status of one push, None for one that was killed after so many seconds; the next one too, where the
        change limit stopped it and the operator has let it through."""
        status = self._push(seconds)
        if status == STOPPED:
            self._confirm()
            status = self._push(seconds, "--let-through")
        if status in (0, 4):
            self._since.clear()
        return status

    def _confirm(self) -> None:
        """What an operator does when the change limit has stopped a push. Raises RuntimeError where nothing happened
        that explains so many changes."""
        said = self.log.read_text().rpartition("\n-- ")[2]
        explained = [event for event in self._since if event in EXPLAIN]
        if "the plan would write" not in said or not explained:
            raise RuntimeError(f"a push is stopped, and nothing explains it ({self._since}): see {self.log}")
        self._note(f"let through, after {explained[-1]}")
        self.outcome.confirmed[explained[-1]] += 1

    def _push(self, seconds: float, *arguments: str) -> int | None:
        status = self._run(seconds, *arguments)
        self.outcome.pushes[self._last, "killed" if status is None else str(status)] += 1
        return status

    def _run(self, seconds: float, *arguments: str) -> int | None:
        process = self.context.Process(target=_publish, args=(self.environment, self.log, arguments))
        process.start()
        began_at = time.monotonic()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
            return None
        if process.exitcode in (0, 4):
            self._life = max(LONGEST_LIFE, time.monotonic() - began_at)
        return process.exitcode

    @property
    def environment(self) -> dict[str, str]:
        return {
            "SVOD_ENV_FILE": os.devnull,
            "SVOD_WAREHOUSE": str(self.warehouse),
            "SVOD_BITRIX24_WEBHOOK": self.address.webhook,
            "SVOD_BITRIX24_RATE": "0",
            # The sandbox answers in milliseconds: what it has not created two seconds after a request, it never will.
            "SVOD_BITRIX24_REQUEST_LIMIT": "2",
            "SVOD_FUSE_SHARE": str(FUSE_SHARE),
        }

    def kill_many(self, kills: int) -> None:
        while self.outcome.kills < kills:
            may_end = self.something_happens()
            status = self.publish(TIME_LIMIT if may_end else self.dice.uniform(0.05, self._life))
            if status is None and may_end:
                raise RuntimeError(f"a push did not end in {TIME_LIMIT} s, see {self.log}")
            self._note(f"killed, {self.outcome.kills + 1}" if status is None else f"ended with {status}")
            if status is None:
                self.outcome.kills += 1
                self.outcome.with_open_intents += self.open_intents() > 0
            elif status in (0, 4):
                self.next_day()
            elif status != 1:  # 1: the connection was too bad for once
                raise RuntimeError(f"the publisher ended with {status}, see {self.log}")

    def open_intents(self) -> int:
        """Creates that wait for an answer, at the portal that answers now."""
        with contextlib.closing(open_warehouse(self.warehouse)) as connection:
            exists = "select 1 from duckdb_tables() where schema_name = 'sync' and table_name = 'intents'"
            if not connection.execute(exists).fetchone():
                return 0
            sql = "select count(*) from sync.intents where portal not like '% (until %'"
            return connection.execute(sql).fetchall()[0][0]

    def end(self) -> None:
        """Let the publisher end at each portal, after a day of changes, and compare. (Who has nothing to send does not
        look whether the portal is still the one it was.)"""
        self._publish_to_end()
        for site in (self.site, self.home if self.site is self.elsewhere else self.elsewhere):
            if site.people.strangers:
                if site is not self.site:
                    self._happened("swap")
                self.open(site)
                self.next_day()
                self._publish_to_end()
                self.compare()

    def _publish_to_end(self) -> None:
        """Push until two have ended well, as cron does: what was refused for a card that somebody deleted goes without
        it by the next one."""
        ended_well = 0
        for _ in range(MOST_PUSHES):
            status = self.publish(TIME_LIMIT)
            if status is None:
                raise RuntimeError(f"a push did not end in {TIME_LIMIT} s, see {self.log}")
            ended_well += status in (0, 4)
            if ended_well == 2:
                return
        raise RuntimeError(f"the publisher does not end, see {self.log}")

    def compare(self) -> None:
        """Note what differs between the marts and the portal that answers now."""
        self.address.close()
        outcome, site = self.outcome, self.site
        told: list[str] = []
        with (
            contextlib.closing(Portal.of(site.state)) as view,
            contextlib.closing(open_warehouse(self.warehouse)) as connection,
        ):
            outcome.counts = view.counts()
            outcome.faults += sum(view.stats()["faults"].values())
            told += marts.differences(connection, view, self._apart(connection))
            told += site.people.changed_strangers(view)
            letters = """select entity, origin_id, error, error_description from sync.dead_letters
                         where portal not like '% (until %'"""
            told += [f"dead letter {letter}" for letter in connection.execute(letters).fetchall()]
        if open_intents := self.open_intents():
            told.append(f"{open_intents} intents are open")
        outcome.differences += [f"{site.folder.name}: {difference}" for difference in told]

    def _apart(self, connection) -> marts.Apart:
        """What people took as theirs; of a company that they typed in when ours was there without its requisite, both
        cards are listed and wait for a person."""
        apart = self.site.people.apart
        typed = "select company_id from marts.crm_companies where inn in (select unnest(?::varchar[]))"
        titles = {("title", key) for (key,) in connection.execute(typed, [sorted(apart.typed_inns)]).fetchall()}
        return dataclasses.replace(apart, fields=apart.fields | titles)


def _publish(environment: dict[str, str], log: Path, arguments: Sequence[str]) -> None:
    from ingest.warehouse import terminal
    from publish import cli

    os.environ.update(environment)
    sys.argv = ["publish", "push", *arguments]
    with log.open("a") as out, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        terminal.console.file = out
        terminal.errors.file = out
        cli.main()


def run(
    companies: int,
    contacts: int,
    kills: int,
    *,
    seed: int,
    fault_rate: float,
    folder: Path,
    deck: Sequence[str] = DECK,
) -> Outcome:
    """One chaos run in a folder of its own. Raises RuntimeError when the publisher does not end by itself."""
    chaos = Chaos(seed, fault_rate, folder, deck)
    try:
        chaos.begin(companies, contacts)
        chaos.kill_many(kills)
        chaos.end()
    finally:
        chaos.address.close()
    return chaos.outcome
