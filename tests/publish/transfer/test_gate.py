"""What the command line sends: only what the models of the move left behind, of what was read last."""

import os

import duckdb
import pytest

from ingest.warehouse import checklist, journal
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from publish.change_limit import Limit
from publish.transfer import boxes, gate
from publish.transfer.command import app
from tests.publish.transfer import office


@pytest.fixture
def built(tmp_path):
    os.environ.pop("SVOD_WAREHOUSE", None)
    connection = open_warehouse(tmp_path / "svod.duckdb")
    office.prepare(connection)
    office.fill(connection, 1)
    read(connection)
    office.stamp(connection)
    yield connection
    connection.close()


def read(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        """insert into ops.snapshots
           select 'cloud', count(*) + 1, 'cloud.test', '', $1, $1, null, false from ops.snapshots""",
        [journal.utc_now()],
    )


def reason(connection: duckdb.DuckDBPyConnection) -> str:
    with pytest.raises(OperatorError) as stopped:
        gate.check(connection)
    assert stopped.value.exit_status == 3
    return stopped.value.problem


def test_what_the_models_left_goes_out(built):
    gate.check(built)


def test_a_mart_that_somebody_changed_or_no_whole_run_has_left_does_not(built):
    office.wants(built, "lead", 77)
    assert "transfer_records is not what" in reason(built)
    built.execute("delete from ops.mart_stamps")
    assert "no full pass" in reason(built)


def test_what_is_older_than_the_last_reading_of_a_portal_does_not(built):
    read(built)
    assert reason(built) == "cloud was read after the models of the move were built"
    office.stamp(built)
    gate.check(built)


def test_a_run_that_a_gate_stopped_or_that_was_killed_lets_nothing_out(built):
    built.execute("update ops.steps set status = 'running'")
    assert "half-way" in reason(built)
    built.execute("""update ops.steps set status = 'gated', detail = '{"gates": [{"test": "proven", "rows": 1}]}'""")
    assert "proven (1 rows)" in reason(built)
    built.execute("delete from ops.steps")
    assert "never run" in reason(built)


@pytest.mark.parametrize("command", ["plan", "dates", "verify", "push"])
def test_a_command_that_cannot_know_says_so_and_does_not_end_well(tmp_path, monkeypatch, command):
    """Before the models have been built, or after they broke off."""
    open_warehouse(tmp_path / "svod.duckdb").close()
    monkeypatch.setenv("SVOD_ENV_FILE", os.devnull)
    monkeypatch.setenv("SVOD_WAREHOUSE", str(tmp_path / "svod.duckdb"))
    monkeypatch.setenv("SVOD_CLOUD_WEBHOOK", "https://cloud.test/rest/1/secret/")
    monkeypatch.setenv("SVOD_BOX_WEBHOOK", "https://box.test/rest/1/secret/")
    with pytest.raises(OperatorError, match="never run") as stopped:
        app([command], standalone_mode=False)
    assert stopped.value.exit_status == 3


def test_more_deletions_of_a_kind_than_the_limit_lets_through_need_a_word(built):
    for number in range(30):
        office.wants(built, "activity", number, action="delete" if number < 10 else "none", target=number)
    gate.check_deletions(built, Limit(0.5, 0))
    gate.check_deletions(built, Limit(0.2, 100))
    with pytest.raises(OperatorError, match="activity 10 of") as stopped:
        gate.check_deletions(built, Limit(0.2, 5))
    assert stopped.value.exit_status == 3


def test_the_word_that_automation_is_off_holds_for_the_very_box_it_was_said_of(built):
    assert not boxes.is_automation_off(built, "box.test")
    built.execute(
        """insert into sync.portals (portal, url, mark, counter, intended, first_seen_at, last_seen_at)
           values ('box.test', '', 'one', 2, 2, now()::timestamp, now()::timestamp)"""
    )
    boxes.say_automation_is_off(built, "box.test")
    assert boxes.is_automation_off(built, "box.test")
    now = journal.utc_now()
    checklist.add(built, checklist.Work("robots-on", now, now, ""))
    assert not boxes.is_automation_off(built, "box.test")
    boxes.say_automation_is_off(built, "box.test")
    assert boxes.is_automation_off(built, "box.test")
    boxes.forget_automation_is_off(built, "box.test")
    assert not boxes.is_automation_off(built, "box.test")
    boxes.say_automation_is_off(built, "box.test")
    built.execute("update sync.portals set mark = 'another'")
    assert not boxes.is_automation_off(built, "box.test")
