"""A stage under way: the steps of a pass, what each took and found, and how the journal has it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import duckdb

from ingest.warehouse import journal, log, running
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.lock import only_run
from ingest.warehouse.terminal import say
from publish.cycle import Cycle, copy_for_readers, environment, stopped_by_sigterm
from publish.settings import Settings
from publish.transfer import forecast, gate, users_file, verdict
from publish.transfer.ledger import TransferLedger
from publish.transfer.records import drop_letters
from publish.transfer.steps import Programs, Steps
from publish.transfer.to_do import planned

T = TypeVar("T")


class Word(NamedTuple):
    """What the operator says: nothing starts by itself in the box; what really is `gone`, and whether `all_parts` are
    read, as to `ingest bitrix24`."""

    automation_is_off: bool = False
    gone: tuple[str, ...] = ()
    all_parts: bool = False

    @property
    def wishes(self) -> list[str]:
        """The same as options of `ingest bitrix24`."""
        gone = [option for name in self.gone for option in ("--gone", name)]
        return [*gone, *(["--all-parts"] if self.all_parts else [])]


NOTHING_SAID = Word()


class Stage:
    """A stage under way: what its steps took, and what its passes found."""

    def __init__(self, settings: Settings, steps: Steps, step: journal.Step, word: Word) -> None:
        self.settings, self.steps, self.word = settings, steps, word
        self.name, self._step = step.name, step
        self.took: list[forecast.Took] = []
        self.found: list[dict[str, int]] = []
        self.forecast: float | None = None  # seconds of all its passes, and what they took
        self.passes_took: float | None = None
        _, self.portal = settings.box()

    def write_down(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Keep in the journal what it has done so far, and how it ended if it did."""
        self._step.detail |= {"took": [took._asdict() for took in self.took], "found": self.found}
        for name, seconds in (("forecast", self.forecast), ("passes", self.passes_took)):
            if seconds is not None:
                self._step.detail[f"{name}_seconds"] = round(seconds, 1)
        self._step.rows_out = sum(sum(found.values()) for found in self.found)
        journal.update(connection, self._step)

    def ledger(self, connection: duckdb.DuckDBPyConnection) -> TransferLedger:
        """What the move has written down of this box."""
        return TransferLedger(connection, self.portal, self.settings.cloud)

    # Steps of a pass --------------------------------------------------------------------------------------------------

    def land(self, portal: str = "", label: str = "", *, anew: bool = False) -> None:
        """Read one portal, or both at once; with `anew` no reading goes on that broke off before."""
        began_at = self.steps.time()
        self._check(journal.INGEST_BITRIX24, self.steps.land(portal, label, anew=anew))
        with open_warehouse(self.settings.warehouse) as connection:
            rows = forecast.records_there(connection, (portal,) if portal else forecast.PORTALS)
        step = f"{forecast.LAND} {portal}" if portal else forecast.LAND
        self.took.append(forecast.Took(step, rows, self.steps.time() - began_at))

    def build(self) -> None:
        """Build the models. Raises OperatorError, with exit status 3 for a gate, when they may not go out."""
        self._check(journal.DBT_TRANSFER, self._build(gate.check)[1])

    def build_to_look(self) -> str:
        """Build the models of a box that nothing goes to so far; what their gates have against them, '' when nothing.
        Raises OperatorError where they were not built."""
        told, status = self._build(gate.what_stops)
        if told is None:
            self._check(journal.DBT_TRANSFER, status)
        return told or ""

    def _build(self, judge: Callable[[duckdb.DuckDBPyConnection], T]) -> tuple[T | None, int]:
        """What is judged of the models, None where they did not even begin: those there are say nothing of what was
        read; and the exit status of their run."""
        began_at, now, told = self.steps.time(), journal.utc_now(), None
        status = self.steps.build()
        with open_warehouse(self.settings.warehouse) as connection:
            if not status or gate.has_begun(connection, now):
                told = judge(connection)
            rows = forecast.records_there(connection, forecast.PORTALS)
        self.took.append(forecast.Took(forecast.BUILD, rows, self.steps.time() - began_at))
        return told, status

    def push(self, planned: dict[str, int]) -> None:
        """Have the box get what is planned."""
        copy_for_readers(self.settings)  # it may take hours
        began_at = self.steps.time()
        status = self.steps.push(automation_is_off=self.word.automation_is_off)
        self._check(journal.TRANSFER_PUSH, status)
        self.took.append(forecast.Took(forecast.PUSH, sum(planned.values()), self.steps.time() - began_at))

    def planned(self) -> dict[str, int]:
        """What the box is to get, by kind, as the models have it that were built last."""
        with open_warehouse(self.settings.warehouse) as connection:
            return planned(connection, self.settings, self.portal)

    def push_what_is_found(self) -> bool:
        """Whether the models have found something for the box that it has got now, or a push found that the box had
        lost what the models took for granted. What is set aside, and stays so, is nothing."""
        found = self.planned()
        self.found.append(found)
        if not found:
            return False
        say(f"{self.name}: pass {len(self.found)} has found {forecast.listed(found)}")
        self.push(found)
        with open_warehouse(self.settings.warehouse) as connection:
            return _told_of_push(connection, "rows_out > 0 or coalesce((detail ->> '$.lost')::bigint, 0) > 0")

    def has_lost_something(self) -> bool:
        """Whether the last push found that the box lacks what the models took for granted."""
        with open_warehouse(self.settings.warehouse) as connection:
            return _told_of_push(connection, "coalesce((detail ->> '$.lost')::bigint, 0) > 0")

    def compare(self) -> int:
        """Say what the comparison of all records comes to; how many are set aside. Raises OperatorError with exit
        status 3 where the portals differ without a reason."""
        if self.took[-1].step == forecast.PUSH:  # it wrote nothing, but the models have not seen what was refused
            self.build()
        with open_warehouse(self.settings.warehouse) as connection:
            result = verdict.read(connection)
        set_aside = self.letters()
        for line in result.lines:
            say(f"{self.name}: {line}")
        result.check()
        return max(set_aside, result.refused)

    def letters(self) -> int:
        """How many records are set aside, without those of which nothing is wanted any more."""
        with open_warehouse(self.settings.warehouse) as connection:
            ledger = self.ledger(connection)
            drop_letters(ledger)
            return ledger.dead_letters()

    def _check(self, step: str, status: int) -> None:
        if status not in (0, 4):
            raise OperatorError(
                f"{self.name} stopped at {step}",
                hint="why is said above; run it again, and it goes on from there",
                exit_status=status,
            )


@contextmanager
def stage(settings: Settings, name: str, word: Word, steps: Steps | None = None) -> Iterator[Stage]:
    """Hold the lock of a run, and keep in the journal how the stage went."""
    log.keep()
    if not settings.cloud:
        raise SettingsError("SVOD_CLOUD_WEBHOOK is not set", hint="see .env.example")
    settings.box()
    users_file.check(settings.transfer_users)
    surroundings = environment(settings)
    going_on = running.told.step(settings.warehouse, name, surroundings["SVOD_RUN_ID"])
    with only_run(settings.warehouse) as lock, stopped_by_sigterm(), going_on:
        current = journal.Step(surroundings["SVOD_RUN_ID"], name)
        under_way = Stage(
            settings, steps or Programs(settings, Cycle(lock, surroundings, {}), word.wishes), current, word
        )
        with open_warehouse(settings.warehouse) as connection:
            journal.begin(connection, current)
        try:
            with current.going_on():
                yield under_way
        finally:
            with open_warehouse(settings.warehouse) as connection:
                under_way.write_down(connection)
            copy_for_readers(settings)


def _told_of_push(connection: duckdb.DuckDBPyConnection, what: str) -> bool:
    """What the journal has of the last push."""
    sql = f"select {what} from ops.steps where step = ? order by started_at desc limit 1"
    row = connection.execute(sql, [journal.TRANSFER_PUSH]).fetchone()
    return bool(row and row[0])
