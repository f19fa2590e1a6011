"""The machine's clock goes back by an hour, in a run and between two: what is landed and journalled stays in order."""

import time
from datetime import timedelta

import pytest

from ingest import raw
from ingest.bitrix24.pacing import WallClock
from ingest.raw import RawRecord
from ingest.warehouse import clock, journal, reads
from ingest.warehouse.journal import utc_now

HOUR = timedelta(hours=1)


@pytest.fixture
def an_hour_back(monkeypatch):
    """Puts the clock of a program back that begins from now on."""

    def put_back() -> None:
        monkeypatch.setattr(clock, "_BEGAN_AT", clock._BEGAN_AT - 3600)

    return put_back


def test_within_a_program_the_time_goes_on_whatever_the_machines_clock_does(monkeypatch):
    before, paced_before = utc_now(), WallClock().time()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert before < utc_now() < before + HOUR
    assert paced_before < WallClock().time() < paced_before + 60


def test_the_step_of_a_run_that_began_last_is_the_last_one_and_ends_after_it_began(warehouse, an_hour_back):
    for _ in range(2):
        with journal.step(warehouse, "publish push"):
            pass
        an_hour_back()
    with pytest.raises(KeyError), journal.step(warehouse, "publish push"):
        raise KeyError
    steps = warehouse.execute("select status, finished_at >= started_at from ops.steps order by started_at").fetchall()
    assert steps == [("done", True), ("done", True), ("failed", True)]


def test_of_two_versions_the_one_that_landed_last_is_the_newest(warehouse, step, an_hour_back):
    table = raw.raw_table(warehouse, "shop_a__clients", "Clients.")
    for name in ("before", "after"):
        record = RawRecord(f'{{"id": 1, "name": "{name}"}}', "1", utc_now().replace(microsecond=0), "clients/id=1")
        raw.append(warehouse, table, [record], step.run_id)
        an_hour_back()
    newest = f"select arg_max(payload ->> '$.name', ingested_at), count(distinct ingested_at) from {table}"
    assert warehouse.execute(newest).fetchall() == [("after", 2)]


def test_a_source_that_fails_since_a_time_to_come_grows_old_from_now_on(warehouse, an_hour_back):
    reads.attempt(warehouse, "shop_a", "MySQL")
    an_hour_back()
    reads.attempt(warehouse, "shop_a", "MySQL")
    (failing,) = reads.failing(warehouse)
    assert failing.failing_since <= utc_now()
