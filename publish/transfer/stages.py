"""The stages of a move as its operator begins them: baseline, rehearsal, delta, final; each of passes.

A pass lands both portals at once, builds the models of the move, stops at their gates, and has the box get what is to
be done. Whatever is killed goes on when the stage is begun again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import duckdb

from ingest.warehouse import journal, running
from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.lock import only_run
from ingest.warehouse.terminal import say
from publish.cycle import Cycle, copy_for_readers, environment, opened, stopped_by_sigterm
from publish.settings import Settings
from publish.transfer import baseline as baselines
from publish.transfer import boxes, forecast, gate, users_file, verdict
from publish.transfer.kinds import MARK
from publish.transfer.ledger import TransferLedger
from publish.transfer.records import no_longer_wanted
from publish.transfer.steps import Programs, Steps
from publish.transfer.to_do import planned, planned_so_far

FROZEN = "frozen"
_MOST_PASSES = 5


class Word(NamedTuple):
    """What the operator says: nothing starts by itself in the box; what really is `gone`, as to `ingest bitrix24`."""

    automation_is_off: bool = False
    gone: tuple[str, ...] = ()


NOTHING_SAID = Word()


class Stage:
    """A stage under way: what its steps took, and what its passes found."""

    def __init__(self, settings: Settings, steps: Steps, step: journal.Step, word: Word) -> None:
        self.settings, self.steps, self.word = settings, steps, word
        self.name, self._step = step.name, step
        self.set_aside = 0
        self.took: list[forecast.Took] = []
        self.found: list[dict[str, int]] = []
        self.forecast: float | None = None
        _, self.portal = settings.box()

    def write_down(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Keep in the journal what it has done so far, and how it ended if it did."""
        self._step.detail |= {"took": [took._asdict() for took in self.took], "found": self.found}
        if self.forecast is not None:
            self._step.detail["forecast_seconds"] = round(self.forecast, 1)
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
        with opened(self.settings.warehouse) as connection:
            rows = forecast.records_there(connection, (portal,) if portal else forecast.PORTALS)
        step = f"{forecast.LAND} {portal}" if portal else forecast.LAND
        self.took.append(forecast.Took(step, rows, self.steps.time() - began_at))

    def build(self) -> None:
        """Build the models. Raises OperatorError, with exit status 3 for a gate, when they may not go out."""
        began_at, now = self.steps.time(), journal.utc_now()
        status = self.steps.build()
        with opened(self.settings.warehouse) as connection:
            if not status or gate.has_begun(connection, now):  # else there is nothing to be said of models
                gate.check(connection)
            rows = forecast.records_there(connection, forecast.PORTALS)
        self._check(journal.DBT_TRANSFER, status)
        self.took.append(forecast.Took(forecast.BUILD, rows, self.steps.time() - began_at))

    def push(self, planned: dict[str, int]) -> None:
        """Have the box get what is planned."""
        copy_for_readers(self.settings)  # it may take hours
        began_at = self.steps.time()
        status = self.steps.push(automation_is_off=self.word.automation_is_off)
        self._check(journal.TRANSFER_PUSH, status)
        self.set_aside += status == 4
        self.took.append(forecast.Took(forecast.PUSH, sum(planned.values()), self.steps.time() - began_at))

    def planned(self) -> dict[str, int]:
        """What the box is to get, by kind, as the models have it that were built last."""
        with opened(self.settings.warehouse) as connection:
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
        with opened(self.settings.warehouse) as connection:
            return _told_of_push(connection, "rows_out > 0 or coalesce((detail ->> '$.lost')::bigint, 0) > 0")

    def has_lost_something(self) -> bool:
        """Whether the last push found that the box lacks what the models took for granted."""
        with opened(self.settings.warehouse) as connection:
            return _told_of_push(connection, "coalesce((detail ->> '$.lost')::bigint, 0) > 0")

    def compare(self) -> int:
        """Say what the comparison of all records comes to; how many are set aside. Raises OperatorError with exit
        status 3 where the portals differ without a reason."""
        if self.took[-1].step == forecast.PUSH:  # it wrote nothing, but the models have not seen what was refused
            self.build()
        with opened(self.settings.warehouse) as connection:
            result = verdict.read(connection)
            ledger = self.ledger(connection)
            ledger.take_off("dead_letters", no_longer_wanted(ledger))
            set_aside = ledger.dead_letters()
        for line in result.lines:
            say(f"{self.name}: {line}")
        result.check()
        return max(set_aside, result.refused)

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
    if not settings.cloud:
        raise SettingsError("SVOD_CLOUD_WEBHOOK is not set", hint="see .env.example")
    settings.box()
    users_file.check(settings.transfer_users)
    surroundings = environment(settings)
    going_on = running.told.step(settings.warehouse, name, surroundings["SVOD_RUN_ID"])
    with only_run(settings.warehouse) as lock, stopped_by_sigterm(), going_on:
        current = journal.Step(surroundings["SVOD_RUN_ID"], name)
        under_way = Stage(
            settings, steps or Programs(settings, Cycle(lock, surroundings, {}), word.gone), current, word
        )
        with opened(settings.warehouse) as connection:
            journal.begin(connection, current)
        try:
            with current.going_on():
                yield under_way
        finally:
            with opened(settings.warehouse) as connection:
                under_way.write_down(connection)
            copy_for_readers(settings)


# Stages ---------------------------------------------------------------------------------------------------------------


def baseline(
    settings: Settings, *, has_backup: bool, again: bool, word: Word = NOTHING_SAID, steps: Steps | None = None
) -> None:
    """Land the box right after the restore, check it, mark it. Raises OperatorError with exit status 3 for a box that
    may be no baseline, or has one and nobody said `again`; SettingsError for one that turns out to be the cloud."""
    with stage(settings, journal.TRANSFER_BASELINE, word, steps) as under_way:
        portal, mark = under_way.portal, _recognised(under_way)
        with opened(settings.warehouse) as connection:
            before = boxes.box_of(connection, portal)
        is_known = before is not None and before.mark == mark and before.baseline_at is not None
        if is_known and before and not again:
            raise OperatorError(
                f"{portal} has its baseline, of {before.baseline_at:%Y-%m-%d %H:%M} UTC",
                hint="a box that was restored once more carries no mark and is taken for another; ARGS=--again",
                exit_status=3,
            )
        snapshot = None
        if has_backup:
            under_way.land(label=boxes.BASELINE)
            under_way.steps.build()
            with opened(settings.warehouse) as connection:
                snapshot = _newest_snapshot(connection)
                try:
                    stops = gate.what_stops(connection)
                    say(f"{under_way.name}: {baselines.check(connection, portal)}")
                except OperatorError:
                    boxes.drop_labels(connection, portal, keep=before.baseline_snapshot if before else None)
                    raise
                if stops:
                    say(f"{under_way.name}: the next pass would stop: {stops}")
        else:
            under_way.land()
            with opened(settings.warehouse) as connection:
                say(f"{under_way.name}: {baselines.check_without_backup(connection, settings, again=again)}")
        under_way.steps.put_mark()
        _check_two_portals(under_way)
        with opened(settings.warehouse) as connection:
            boxes.accept_baseline(connection, portal, settings.cloud, snapshot)
        what = f"snapshot {snapshot}" if has_backup else "empty: everything of the cloud is made there"
        say(f"{under_way.name}: the baseline of {portal} is {what}")


def rehearsal(settings: Settings, word: Word, steps: Steps | None = None) -> None:
    """Bring the box to what the cloud was when it was read, until nothing is left to do; compare and forecast."""
    with _moving(settings, journal.TRANSFER_REHEARSAL, word, steps) as under_way:
        under_way.land()
        under_way.build()
        while under_way.push_what_is_found():
            _check_settles(under_way)
            under_way.land("box")
            under_way.build()
        try:
            set_aside = under_way.compare()
        finally:
            _tell_forecast(under_way)
        _raise_set_aside(set_aside)


def delta(settings: Settings, word: Word, steps: Steps | None = None) -> None:
    """One pass: as often as one likes, while people go on working in the cloud."""
    with _moving(settings, journal.TRANSFER_DELTA, word, steps) as under_way:
        under_way.land()
        under_way.build()
        under_way.push_what_is_found()
        if under_way.found[-1] and under_way.has_lost_something():
            under_way.land("box")
            under_way.build()
            under_way.push_what_is_found()
        if not under_way.found[-1]:
            say(f"{under_way.name}: nothing to do, the box has what the cloud has")
        _raise_set_aside(under_way.set_aside)


def final(settings: Settings, confirm: str, word: Word, steps: Steps | None = None) -> None:
    """Passes until one finds nothing, then the comparison; the ledger of the first job moves along.

    Raises SettingsError unless it is confirmed that nobody works in the cloud any more.
    """
    if confirm != FROZEN:
        raise SettingsError(
            f"nobody has said CONFIRM={FROZEN}: that nobody works in the cloud any more, for what is done there after "
            "this run is lost",
            hint=f"make transfer-final CONFIRM={FROZEN}; make transfer-delta goes while they work",
        )
    with _moving(settings, journal.TRANSFER_FINAL, word, steps) as under_way:
        began_at = under_way.steps.time()
        with opened(settings.warehouse) as connection:
            connection.execute(  # whoever waits for the end does not wait for the next try of what was refused
                f"update transfer.dead_letters set next_at = ? where {under_way.ledger(connection).ours}",
                [journal.utc_now()],
            )
            to_do = planned_so_far(connection, settings, under_way.portal)
            expected = None if to_do is None else forecast.standstill(connection, to_do)
        under_way.forecast = expected.seconds if expected else None
        if expected:
            say(f"{under_way.name}: about {forecast.duration(expected.seconds)}, by the forecast")
        while True:
            under_way.land(anew=True)  # one that began before the freeze has not what was done until then
            under_way.build()
            if not under_way.push_what_is_found():
                break
            _check_settles(under_way)
        took = under_way.steps.time() - began_at
        say(f"{under_way.name}: {forecast.against_fact(under_way.forecast, took)}")
        set_aside = under_way.compare()
        for line in under_way.steps.hand_over():
            say(f"{under_way.name}: {line}")
        with opened(settings.warehouse) as connection:
            if not set_aside:
                boxes.forget_automation_is_off(connection, under_way.portal)
        _raise_set_aside(set_aside)


@contextmanager
def _moving(settings: Settings, name: str, word: Word, steps: Steps | None) -> Iterator[Stage]:
    """A stage that needs a baseline of the very box that answers."""
    with stage(settings, name, word, steps) as under_way:
        mark = _recognised(under_way)
        with opened(settings.warehouse) as connection:
            baselines.check_there_is_one(connection, under_way.portal, mark, settings.cloud)
        _check_two_portals(under_way)
        yield under_way


def _recognised(under_way: Stage) -> str | None:
    """The mark of the box that answers; one that answered to another name before is the same box."""
    mark = under_way.steps.box_mark()
    with opened(under_way.settings.warehouse) as connection:
        before = boxes.recognise(connection, under_way.portal, mark)
    if before:
        say(f"{under_way.name}: {under_way.portal} is the box that was {before}: all goes by the new name")
    return mark


def _check_two_portals(under_way: Stage) -> None:
    """Raise SettingsError where the cloud carries the mark of the box: one portal by two names."""
    mark = under_way.steps.box_mark()
    if mark is not None and under_way.steps.cloud_mark() == mark:
        raise SettingsError(
            f"{under_way.settings.cloud} and {under_way.portal} are one portal by two names",
            hint=f"put the box into SVOD_BOX_WEBHOOK, and delete the custom field {MARK} of all kinds of cards there",
        )


def _check_settles(under_way: Stage) -> None:
    if len(under_way.found) >= _MOST_PASSES:
        raise OperatorError(
            f"after {len(under_way.found)} passes there is still something to do: "
            f"{forecast.listed(under_way.found[-1])}",
            hint="does somebody work in one of the portals?",
            exit_status=3,
        )


def _raise_set_aside(number: int) -> None:
    if number:
        raise OperatorError(
            "records are set aside in transfer.dead_letters",
            hint="their errors are there; they are tried again with a growing delay, or at once when they change",
            exit_status=4,
        )


def _newest_snapshot(connection: duckdb.DuckDBPyConnection) -> int:
    sql = "select max(snapshot_id) from ops.snapshots where source = 'box' and completed_at is not null"
    return int(connection.execute(sql).fetchall()[0][0])


def _tell_forecast(under_way: Stage) -> None:
    with opened(under_way.settings.warehouse) as connection:
        under_way.write_down(connection)
        for line in forecast.lines(connection, {}, under_way.portal):
            say(f"{under_way.name}: {line}")


def _told_of_push(connection: duckdb.DuckDBPyConnection, what: str) -> bool:
    """What the journal has of the last push."""
    sql = f"select {what} from ops.steps where step = ? order by started_at desc limit 1"
    row = connection.execute(sql, [journal.TRANSFER_PUSH]).fetchone()
    return bool(row and row[0])
