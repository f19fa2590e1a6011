"""The stages of a move as its operator begins them: baseline, rehearsal, delta, final; each of passes.

A pass lands both portals at once, builds the models of the move, stops at their gates, and has the box get what is to
be done. Whatever is killed goes on when the stage is begun again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError, SettingsError
from ingest.warehouse.terminal import say
from publish.settings import Settings
from publish.transfer import baseline as baselines
from publish.transfer import boxes, forecast, one_portal
from publish.transfer.files import drop_contents
from publish.transfer.kinds import MARK
from publish.transfer.stage import NOTHING_SAID, Stage, Word, stage
from publish.transfer.steps import Steps
from publish.transfer.to_do import planned_so_far

FROZEN = "frozen"
_MOST_PASSES = 5


# Stages ---------------------------------------------------------------------------------------------------------------


def baseline(
    settings: Settings, *, has_backup: bool, again: bool, word: Word = NOTHING_SAID, steps: Steps | None = None
) -> None:
    """Land the box right after the restore, check it, mark it. Raises OperatorError with exit status 3 for a box that
    may be no baseline, or has one and nobody said `again`; SettingsError for one that turns out to be the cloud."""
    with stage(settings, journal.TRANSFER_BASELINE, word, steps) as under_way:
        portal, mark = under_way.portal, _recognised(under_way)
        with open_warehouse(settings.warehouse) as connection:
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
            try:
                stops = under_way.build_to_look()
                with open_warehouse(settings.warehouse) as connection:
                    snapshot = _newest_snapshot(connection)
                    say(f"{under_way.name}: {baselines.check(connection, portal)}")
            except OperatorError:
                with open_warehouse(settings.warehouse) as connection:
                    boxes.drop_labels(connection, portal, keep=before.baseline_snapshot if before else None)
                raise
            if stops:
                say(f"{under_way.name}: the next pass would stop: {stops}")
        else:
            under_way.land()
            with open_warehouse(settings.warehouse) as connection:
                say(f"{under_way.name}: {baselines.check_without_backup(connection, settings, again=again)}")
        _look_for_one_portal(under_way, again=again)
        under_way.steps.put_mark()
        try:
            _check_two_portals(under_way)
        except SettingsError:
            if mark is None:
                under_way.steps.take_mark_off()
            raise
        with open_warehouse(settings.warehouse) as connection:
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
        letters = under_way.letters()
        if not under_way.found[-1]:
            what = f"nothing to do before the next try of {letters:,}" if letters else "the box has what the cloud has"
            say(f"{under_way.name}: {what}")
        _raise_set_aside(letters)


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
        with open_warehouse(settings.warehouse) as connection:
            connection.execute(  # whoever waits for the end does not wait for the next try of what was refused
                f"update transfer.dead_letters set next_at = ? where {under_way.ledger(connection).ours}",
                [journal.utc_now()],
            )
            to_do = planned_so_far(connection, settings, under_way.portal)
        changed = under_way.steps.changed_in_cloud()
        with open_warehouse(settings.warehouse) as connection:
            rates = {"cloud": settings.cloud_rate, "box": settings.box_rate}
            parts_seconds = forecast.all_parts_seconds(connection, rates) if word.all_parts else 0.0
            expected = (
                None
                if to_do is None
                else forecast.standstill(connection, to_do, changed=changed, parts_seconds=parts_seconds)
            )
        under_way.forecast = expected.seconds if expected else None
        if expected:
            say(f"{under_way.name}: about {forecast.duration(expected.seconds)}, by the forecast")
        while True:
            under_way.land(anew=True)  # one that began before the freeze has not what was done until then
            under_way.build()
            if not under_way.push_what_is_found():
                break
            _check_settles(under_way)
        under_way.passes_took = under_way.steps.time() - began_at
        say(f"{under_way.name}: {forecast.against_fact(under_way.forecast, under_way.passes_took)}")
        set_aside = under_way.compare()
        for line in under_way.steps.hand_over():
            say(f"{under_way.name}: {line}")
        if not set_aside:
            with open_warehouse(settings.warehouse) as connection:
                boxes.forget_automation_is_off(connection, under_way.portal)
            if number := drop_contents(settings.warehouse):
                say(f"{under_way.name}: {number:,} contents of files are in the box, and are here no more")
        _raise_set_aside(set_aside)


@contextmanager
def _moving(settings: Settings, name: str, word: Word, steps: Steps | None) -> Iterator[Stage]:
    """A stage that needs a baseline of the very box that answers."""
    with stage(settings, name, word, steps) as under_way:
        mark = _recognised(under_way)
        with open_warehouse(settings.warehouse) as connection:
            baselines.check_there_is_one(connection, under_way.portal, mark, settings.cloud)
        if told := under_way.steps.notice_unseen():  # the models tell its work from that of people
            say(f"{under_way.name}: {told}")
        _check_two_portals(under_way)
        yield under_way


def _recognised(under_way: Stage) -> str | None:
    """The mark of the box that answers; one that answered to another name before is the same box. Raises SettingsError
    where it has no such user as is to stand for those it lacks."""
    mark, fallback = under_way.steps.box_mark(), under_way.settings.transfer_fallback_user
    if fallback is not None and not under_way.steps.has_user(fallback):
        raise SettingsError(
            f"SVOD_TRANSFER_FALLBACK_USER is {fallback}, and {under_way.portal} has no such user",
            hint="the id of a user of the box who stands for those that it lacks",
        )
    with open_warehouse(under_way.settings.warehouse) as connection:
        before = boxes.recognise(connection, under_way.portal, mark)
    if before:
        say(f"{under_way.name}: {under_way.portal} is the box that was {before}: all goes by the new name")
    return mark


def _look_for_one_portal(under_way: Stage, *, again: bool) -> None:
    """Raise SettingsError where the cloud and the box turn out to be one portal, before anything is written to it;
    OperatorError with exit status 3 where that cannot be told, unless somebody says `again` that they are two."""
    with open_warehouse(under_way.settings.warehouse) as connection:
        sample = one_portal.told_differently(connection)
    if sample is None or (not sample and again):
        return
    if not sample:
        raise OperatorError(
            f"{under_way.settings.cloud} and {under_way.portal} are the same to the last card: one, by two names?",
            hint="if they are two, and nobody has worked in the cloud since the backup: ARGS=--again",
            exit_status=3,
        )
    if under_way.steps.are_one(sample):
        raise _one_portal(under_way, "put the box into SVOD_BOX_WEBHOOK; nothing was written")


def _check_two_portals(under_way: Stage) -> None:
    """Raise SettingsError where the cloud carries the mark of the box: one portal by two names."""
    mark = under_way.steps.box_mark()
    if mark is not None and under_way.steps.cloud_mark() == mark:
        raise _one_portal(
            under_way, f"put the box into SVOD_BOX_WEBHOOK; a custom field {MARK} of cards there is the move's"
        )


def _one_portal(under_way: Stage, hint: str) -> SettingsError:
    names = f"{under_way.settings.cloud} and {under_way.portal}"
    return SettingsError(f"{names} are one portal by two names", hint=hint)


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
            hint="their errors are there; they are tried again with a growing delay, by `publish transfer retry`, or "
            "at once when they change",
            exit_status=4,
        )


def _newest_snapshot(connection: duckdb.DuckDBPyConnection) -> int:
    sql = "select max(snapshot_id) from ops.snapshots where source = 'box' and completed_at is not null"
    return int(connection.execute(sql).fetchall()[0][0])


def _tell_forecast(under_way: Stage) -> None:
    with open_warehouse(under_way.settings.warehouse) as connection:
        under_way.write_down(connection)
        for line in forecast.lines(connection, {}, under_way.portal):
            say(f"{under_way.name}: {line}")
