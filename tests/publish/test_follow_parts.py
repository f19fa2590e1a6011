"""What `publish follow` keeps: which parts pause and for how long, how far topics are ahead, what it tidies."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from ingest import raw
from ingest.landing import Landing
from ingest.raw import RawRecord
from ingest.settings import read_settings as read_ingest_settings
from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.service import Service
from publish import follow, lag, pauses, tidying
from publish.follow import Follower
from publish.models import building, compiled
from publish.pauses import Part, Timer
from publish.settings import read_settings


def test_a_part_that_fails_pauses_twice_as_long_each_time_and_five_minutes_at_the_most():
    part = Part("shop_a (MySQL)")
    assert part.is_due
    assert [part.failed("down") for _ in range(8)] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert not part.is_due
    assert part.worked()
    assert part.is_due and not part.worked()
    assert part.failed("down again") == 5


def test_a_part_that_has_nothing_to_do_rests_without_having_failed():
    part = Part("registry")
    part.rest(60)
    assert (part.is_due, part.failures) == (False, 0)


def test_a_timer_is_due_at_first_and_again_after_its_time_or_longer(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(pauses.time, "monotonic", lambda: clock[0])
    timer, seen = Timer(60), []
    for not_before in (0, 90):
        assert timer.is_due
        timer.done(not_before)
        for _ in range(3):
            clock[0] += 30
            seen.append(timer.is_due)
    assert seen == [False, True, True, False, False, True]


def test_the_parts_are_written_down_with_what_is_wrong(warehouse):
    failing = Part("shop_a (MySQL)")
    failing.failed("the server is down")
    for _ in range(2):
        pauses.keep(warehouse, [failing, Part("portal")], journal.utc_now())
    rows = warehouse.execute("select part, state, failures, problem from ops.follow order by part").fetchall()
    assert rows == [
        ("follow", "works", 0, None),
        ("portal", "works", 0, None),
        ("shop_a (MySQL)", "paused", 1, "the server is down"),
    ]


def land_event(warehouse, at: datetime) -> None:
    table = raw.raw_table(warehouse, "shop_b__events", "Events.")
    raw.append(warehouse, table, [RawRecord('{"event": "x"}', "b-1", at, f"t/0/{at}")], "run")


def behind(warehouse) -> tuple[int | None, float]:
    return warehouse.execute("select messages, round(seconds) from ops.lag where source = 'shop_b'").fetchone()


def test_the_lag_is_the_age_of_the_oldest_event_that_is_not_in_the_portal(warehouse):
    lag.measure(warehouse, "shop_b", 0, None)
    assert behind(warehouse) == (0, 0)  # nothing of it has ever landed
    now = journal.utc_now()
    for seconds in (30, 90):
        land_event(warehouse, now - timedelta(seconds=seconds))
    lag.measure(warehouse, "shop_b", 0, None)
    assert behind(warehouse) == (0, pytest.approx(90, abs=3))
    lag.published(warehouse, "shop_b", journal.utc_now())
    lag.measure(warehouse, "shop_b", 0, None)
    assert behind(warehouse) == (0, 0)
    lag.measure(warehouse, "shop_b", 7, journal.utc_now() - timedelta(seconds=20))
    assert behind(warehouse) == (7, pytest.approx(20, abs=3))  # seen in the topic, not landed
    lag.measure(warehouse, "shop_b", None, None)
    assert behind(warehouse) == (None, 0)


SIZES = """insert into ops.mart_sizes (mart, row_count, period_start, run_id, measured_at, awaited_growth)
           values ('crm_companies', ?, '2025-01-01', ?, now()::timestamp - to_seconds(?), ?)"""


@pytest.mark.parametrize(
    ("before_s", "awaited", "kept"),
    [(600, 1.0, [10]), (4000, 1.0, [10, 12]), (600, 1.5, [10, 12])],
    ids=["within the hour", "after an hour", "while verdicts are awaited"],
)
def test_sizes_of_marts_are_kept_once_an_hour(warehouse, monkeypatch, before_s, awaited, kept):
    monkeypatch.setenv("SVOD_RUN_ID", "follow-2")
    warehouse.execute(SIZES, [10, "follow-1", before_s, 1.0])
    warehouse.execute(SIZES, [12, "follow-2", 0, awaited])
    tidying.keep_an_hours_sizes(warehouse)
    sizes = warehouse.execute("select row_count from ops.mart_sizes order by measured_at").fetchall()
    assert [rows for (rows,) in sizes] == kept


def test_steps_of_cycles_that_went_well_go_after_a_week_and_others_stay(warehouse):
    warehouse.execute(
        """delete from ops.steps;
           insert into ops.steps (run_id, step, started_at, status)
           select run, 'publish push', now()::timestamp - to_days(age), status
           from (values
               ('follow-1', 8, 'done'), ('follow-2', 8, 'failed'), ('follow-3', 6, 'done'), ('run-4', 8, 'done')
           ) as steps(run, age, status)"""
    )
    tidying.forget_old_steps(warehouse)
    kept = warehouse.execute("select run_id from ops.steps order by run_id").fetchall()
    assert kept == [("follow-2",), ("follow-3",), ("run-4",)]


@pytest.fixture
def follower(monkeypatch, tmp_path) -> Iterator[Follower]:
    """One without sources and portal, whose registry and models are what a test makes of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SVOD_RUN_ID", "restored afterwards")
    monkeypatch.setenv("SVOD_WAREHOUSE", str(tmp_path / "svod.duckdb"))
    monkeypatch.setenv("SVOD_REGISTRY_TOKEN", "key")
    monkeypatch.setattr(compiled, "project", lambda folder: None)
    monkeypatch.setattr(building, "build", lambda *arguments, **options: None)
    monkeypatch.setattr(follow, "LOOK_EVERY_S", 0)
    with asyncio.Runner() as runner:
        ours = Follower(read_settings(), read_ingest_settings(), Service(), runner, journal.utc_now())
        with closing(ours):
            yield ours


def asked_by_cycle(
    follower: Follower, monkeypatch, cycles: int, answer: Callable[[int, Landing, int], None]
) -> list[int]:
    """How often the registry was asked after each cycle; `answer` is told the number of the time, the step, the most
    INNs."""
    times, seen = [], []

    def land_registry(work: Landing, most_inns: int) -> None:
        times.append(most_inns)
        answer(len(times), work, most_inns)

    monkeypatch.setattr(follow, "land_registry", land_registry)
    for _ in range(cycles):
        follower._cycle()
        seen.append(len(times))
    return seen


def test_as_many_inns_as_take_seconds_are_asked_for_a_cycle_until_none_is_left(follower, monkeypatch):
    def answer(time: int, work: Landing, most_inns: int) -> None:
        assert most_inns == 150
        work.step.rows_in = most_inns if time < 3 else 7

    assert asked_by_cycle(follower, monkeypatch, 5, answer) == [1, 2, 3, 3, 3]


def test_a_quota_that_is_spent_is_not_asked_for_again_at_once(follower, monkeypatch):
    def answer(time: int, work: Landing, most_inns: int) -> None:
        work.step.rows_in = most_inns
        work.step.detail["goes_on_at"] = "tomorrow"

    assert asked_by_cycle(follower, monkeypatch, 3, answer) == [1, 1, 1]
    assert (follower.registry.failures, follower.has_inns_left) == (0, True)


def test_a_registry_that_fails_pauses_and_keeps_nobody_from_the_models(follower, monkeypatch, capsys):
    def answer(time: int, work: Landing, most_inns: int) -> None:
        raise OperatorError("the registry does not answer")

    assert asked_by_cycle(follower, monkeypatch, 2, answer) == [1, 1]
    assert "registry pauses for 5 s" in capsys.readouterr().err
    assert not follower.is_unbuilt


@pytest.mark.parametrize("error", [MemoryError(), SystemExit(3), ValueError("s3cret")])
def test_whatever_ends_a_step_ends_no_other(follower, monkeypatch, capsys, error):
    def answer(time: int, work: Landing, most_inns: int) -> None:
        raise error

    asked_by_cycle(follower, monkeypatch, 1, answer)
    err = capsys.readouterr().err
    assert f"registry: unexpected {type(error).__name__}" in err and "s3cret" not in err
