"""The stages of a move over steps that a test plays: what each does in which order, refuses, and ends with."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest
from pydantic import SecretStr

from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.lock import OVERLAPS, only_run
from publish.settings import Settings
from publish.transfer import boxes, stages, status
from publish.transfer.command import app
from publish.transfer.one_portal import Sample
from publish.transfer.stage import Word
from tests.publish.transfer import office

CLOUD, BOX = "https://cloud.test/rest/1/secret/", "https://box.test/rest/1/secret/"
WORD = Word(automation_is_off=True)


@dataclass
class Played:
    """Steps that do to the warehouse what the programs would: `to_do` is what each build finds, in turn."""

    warehouse: Path
    to_do: list[int] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    mark: str | None = "mark"
    statuses: dict[str, int] = field(default_factory=dict)
    gated: bool = False
    is_exact: bool = True
    refused: int = 0
    now: float = 0.0
    killed_at: int = -1
    has_models: bool = True
    lost: list[int] = field(default_factory=list)
    mark_of_cloud: str | None = None
    changed: dict[str, int] = field(default_factory=dict)
    is_one: bool = False
    has_new: bool = True

    def _ended(self, step: str) -> int:
        self.called.append(step)
        if len(self.called) - 1 == self.killed_at:
            raise SystemExit(143)
        self.now += 10
        return self.statuses.get(step, 0)

    def _sql(self, statement: str, *values: object) -> None:
        connection = open_warehouse(self.warehouse)
        connection.execute(statement, list(values))
        connection.close()

    def land(self, portal: str, label: str, *, anew: bool = False) -> int:
        for source in (portal,) if portal else ("cloud", "box"):
            host = "cloud.test" if source == "cloud" else "box.test"
            self._sql(
                """insert into ops.snapshots select $1, coalesce(max(snapshot_id), 0) + 1, $2, $3, $4, $4, null, false
                   from ops.snapshots where source = $1""",
                source, host, label, journal.utc_now(),
            )  # fmt: skip
            if self.has_new:
                self._sql("insert into ops.snapshot_keys select $1, 'leads', uuid(), 'digest', 1, null", source)
        return self._ended(" ".join(filter(None, ("land", portal, "anew" if anew else ""))))

    def build(self) -> int:
        if not self.has_models:
            return self._ended("build")
        connection = open_warehouse(self.warehouse)
        office.prepare(connection)
        for number in range(self.to_do.pop(0) if self.to_do else 0):
            office.wants(connection, "lead", number)
        office.stamp(connection)
        if self.gated:
            connection.execute("update ops.steps set status = 'gated', detail = '{}' where step = 'dbt transfer'")
        connection.execute(
            """create or replace table marts.transfer_verdict as
               select $1::boolean as is_exact, 0 as missing_count, $2::int as refused_count""",
            [self.is_exact, self.refused],
        )
        connection.execute(
            """create or replace table marts.transfer_differences as
               select 'lead' as entity, '7' as source_id, $1::boolean as is_explained;
               create or replace table marts.transfer_outcomes as
               select 'lead' as entity, '7' as source_id, if($2::int > 0, 'refused', 'unchanged') as outcome""".replace(
                "$1", str(self.is_exact)
            ).replace("$2", str(self.refused))
        )
        connection.close()
        return self._ended("build") or int(self.gated)

    def push(self, *, automation_is_off: bool) -> int:
        with closing(open_warehouse(self.warehouse)) as connection:
            with journal.step(connection, journal.TRANSFER_PUSH) as step:
                status = self._ended("push")
                step.rows_out = 0 if status == 4 else 1
                step.detail["lost"] = self.lost.pop(0) if self.lost else 0
            if status == 4:
                connection.execute(
                    """insert into transfer.dead_letters
                       select 'box.test', 'cloud.test', entity, source_id, 'MISSING_REFERENCE', '', 1, now()::timestamp,
                           '2100-01-01', '{}'
                       from marts.transfer_records on conflict do nothing"""
                )
        return status

    def box_mark(self) -> str | None:
        return self.mark

    def cloud_mark(self) -> str | None:
        return self.mark_of_cloud

    def changed_in_cloud(self) -> dict[str, int]:
        return self.changed

    def are_one(self, sample: Sample) -> bool:
        self._ended("look")
        return self.is_one

    def take_mark_off(self) -> None:
        self.called.append("take off")

    def has_user(self, user_id: int) -> bool:
        return user_id == 1

    def notice_unseen(self) -> str:
        return ""

    def put_mark(self) -> None:
        self._ended("mark")
        self._sql(
            """insert into sync.portals (portal, url, mark, counter, intended, first_seen_at, last_seen_at)
               values ('box.test', 'https://box.test', 'mark', 2, 2, now()::timestamp, now()::timestamp)
               on conflict do nothing"""
        )
        self.mark = "mark"

    def hand_over(self) -> list[str]:
        self._ended("hand over")
        return []

    def time(self) -> float:
        return self.now


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SVOD_ENV_FILE", os.devnull)
    return Settings(_env_file=None, warehouse=tmp_path / "svod.duckdb", cloud_webhook=CLOUD, box_webhook=BOX)


@pytest.fixture
def played(settings: Settings) -> Iterator[Played]:
    """A box that has its baseline."""
    played = Played(settings.warehouse, mark=None)
    stages.baseline(settings, has_backup=False, again=False, steps=played)
    played.called.clear()
    yield played


def refused(stage: Callable[[], None]) -> OperatorError:
    with pytest.raises(OperatorError) as stopped:
        stage()
    return stopped.value


def rows(settings: Settings, sql: str) -> list[tuple]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_final_run_that_nobody_confirmed_says_what_that_means_and_touches_nothing(settings):
    error = refused(lambda: stages.final(settings, "", WORD))
    assert error.exit_status == 2 and "nobody works in the cloud any more" in error.problem
    assert not settings.warehouse.exists()


def test_one_portal_under_both_settings_is_refused(settings):
    same = settings.model_copy(update={"box_webhook": settings.cloud_webhook})
    assert refused(lambda: stages.delta(same, WORD)).exit_status == 2
    unset = settings.model_copy(update={"cloud_webhook": None})
    assert refused(lambda: stages.delta(unset, WORD)).exit_status == 2


def test_a_box_without_a_baseline_or_another_box_than_that_is_not_moved_to(settings):
    steps = Played(settings.warehouse)
    assert refused(lambda: stages.rehearsal(settings, WORD, steps)).exit_status == 3
    steps.mark = None
    stages.baseline(settings, has_backup=False, again=False, steps=steps)
    steps.called.clear()
    for mark in ("of another box", None):
        steps.mark = mark
        error = refused(lambda: stages.delta(settings, WORD, steps))
        assert error.exit_status == 3 and "another box" in error.problem
    assert steps.called == []


def test_another_cloud_than_that_of_the_baseline_is_not_moved_from(settings, played):
    other = settings.model_copy(update={"cloud_webhook": SecretStr("https://other.test/rest/1/secret/")})
    error = refused(lambda: stages.delta(other, WORD, played))
    assert error.exit_status == 3 and "from cloud.test" in error.problem
    assert played.called == []


def test_one_portal_by_two_names_is_found_out_by_the_mark_of_the_box(settings, played):
    played.mark_of_cloud = "mark"
    error = refused(lambda: stages.delta(settings, WORD, played))
    assert error.exit_status == 2 and "one portal by two names" in error.problem
    error = refused(lambda: stages.baseline(settings, has_backup=False, again=True, steps=played))
    assert error.exit_status == 2 and played.called == ["land", "look", "mark"]
    played.mark, played.called = None, []
    refused(lambda: stages.baseline(settings, has_backup=False, again=True, steps=played))
    assert played.called == ["land", "look", "mark", "take off"], "there was none before"


def test_one_portal_by_two_names_is_looked_for_before_anything_is_written(settings):
    steps = Played(settings.warehouse, mark=None, is_one=True)
    error = refused(lambda: stages.baseline(settings, has_backup=False, again=False, steps=steps))
    assert error.exit_status == 2 and "nothing was written" in error.hint and steps.called == ["land", "look"]
    with closing(open_warehouse(settings.warehouse)) as connection:
        connection.execute("update ops.snapshot_keys set source_key = '5'")  # of both the same
    steps.called, steps.has_new = [], False
    error = refused(lambda: stages.baseline(settings, has_backup=False, again=False, steps=steps))
    assert error.exit_status == 3 and "same to the last card" in error.problem and steps.called == ["land"]
    stages.baseline(settings, has_backup=False, again=True, steps=steps)
    assert steps.called == ["land", "land", "mark"]


def test_a_portal_of_the_vendors_cloud_is_no_box(settings):
    swapped = settings.model_copy(update={"box_webhook": SecretStr("https://acme.bitrix24.ru/rest/1/secret/")})
    assert "swapped" in refused(lambda: stages.delta(swapped, WORD)).hint


def test_without_a_backup_a_box_with_more_cards_than_the_cloud_is_asked_about(settings):
    steps = Played(settings.warehouse, mark=None)
    for _ in range(2):
        steps.land("box", "")
    error = refused(lambda: stages.baseline(settings, has_backup=False, again=False, steps=steps))
    assert error.exit_status == 3 and "swapped" in error.problem and "mark" not in steps.called
    stages.baseline(settings, has_backup=False, again=True, steps=steps)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cloud_id,box_id\n9, 2\n", "line 2"),
        ("cloud_id;box_id\n9;2\n", "does not begin"),
        ("cloud_id,box_id\n9,2\n9,3\n", "user 9 is in line 2"),
        ("cloud_id,box_id\n9,\n", "line 2"),
    ],
)
def test_a_file_of_users_that_the_models_would_misread_is_refused_before_anything_is_read(
    settings, tmp_path, text, problem
):
    file = tmp_path / "users.csv"
    file.write_text(text)
    steps = Played(settings.warehouse)
    chosen = settings.model_copy(update={"transfer_users": file})
    error = refused(lambda: stages.delta(chosen, WORD, steps))
    assert error.exit_status == 2 and problem in error.problem and steps.called == []
    file.write_text("cloud_id,box_id\n9,2\n")
    assert refused(lambda: stages.delta(chosen, WORD, steps)).exit_status == 3  # no baseline


def test_a_fallback_user_who_is_nobody_is_refused_before_anything_is_read(settings, played):
    nobody = settings.model_copy(update={"transfer_fallback_user": 999})
    error = refused(lambda: stages.delta(nobody, WORD, played))
    assert error.exit_status == 2 and "SVOD_TRANSFER_FALLBACK_USER is 999" in error.problem and played.called == []
    stages.delta(settings.model_copy(update={"transfer_fallback_user": 1}), WORD, played)


def test_a_box_that_got_another_address_is_the_same_box(settings, played, capsys):
    renamed = settings.model_copy(update={"box_webhook": SecretStr("https://crm.acme.test/rest/1/secret/")})
    stages.delta(renamed, WORD, played)
    assert "crm.acme.test is the box that was box.test" in capsys.readouterr().out
    assert rows(settings, "select portal from transfer.boxes") == [("crm.acme.test",)]
    assert rows(settings, "select distinct portal from ops.snapshots where source = 'box' order by 1") == [
        ("box.test",), ("crm.acme.test",),
    ]  # fmt: skip


def test_a_second_baseline_of_the_same_box_has_to_be_asked_for(settings, played):
    error = refused(lambda: stages.baseline(settings, has_backup=False, again=False, steps=played))
    assert error.exit_status == 3 and "has its baseline" in error.problem
    stages.baseline(settings, has_backup=False, again=True, steps=played)
    assert played.called == ["land", "look", "mark"]


def test_a_baseline_that_broke_off_has_to_be_made_again(settings, played):
    played.land("box", boxes.BASELINE)
    error = refused(lambda: stages.delta(settings, WORD, played))
    assert error.exit_status == 3 and "broke off" in error.problem


def test_a_rehearsal_goes_on_until_the_box_is_what_the_cloud_was_then_and_compares(settings, played, capsys):
    played.to_do = [3, 1, 0]
    stages.rehearsal(settings, WORD, played)
    assert played.called == ["land", "build", "push", "land box", "build", "push", "land box", "build"]
    assert "comparison: exact" in capsys.readouterr().out


def test_a_delta_is_one_pass_and_nothing_is_sent_when_there_is_nothing_to_do(settings, played):
    played.to_do = [3]
    stages.delta(settings, WORD, played)
    stages.delta(settings, WORD, played)
    assert played.called == ["land", "build", "push", "land", "build"]


def test_a_delta_into_a_box_that_was_put_back_goes_on_with_what_that_lacks(settings, played):
    played.to_do, played.lost = [1, 6], [6]
    stages.delta(settings, WORD, played)
    assert played.called == ["land", "build", "push", "land box", "build", "push"]


def test_a_final_run_lands_both_portals_until_a_pass_finds_nothing_and_hands_the_first_job_over(settings, played):
    played.to_do = [3, 1]
    stages.final(settings, "frozen", WORD, played)
    assert played.called == ["land anew", "build", "push"] * 2 + ["land anew", "build", "hand over"]


def test_a_final_run_ends_also_where_every_pass_finds_something(settings, played):
    played.to_do = [1] * 10
    error = refused(lambda: stages.final(settings, "frozen", WORD, played))
    assert error.exit_status == 3 and "lead 1" in error.problem
    assert played.called.count("push") == 5


def test_a_gate_stops_a_stage_before_the_box(settings, played):
    played.to_do, played.gated = [3], True
    assert refused(lambda: stages.delta(settings, WORD, played)).exit_status == 3
    assert "push" not in played.called
    ended = "select status from ops.steps where step = 'publish transfer delta'"
    assert rows(settings, ended) == [("gated",)]


def test_models_that_do_not_even_begin_end_the_stage_as_a_step_that_failed(settings, played):
    played.build()
    played.statuses, played.called = {"build": 1}, []
    played.has_models = False
    error = refused(lambda: stages.delta(settings, WORD, played))
    assert error.exit_status == 1 and journal.DBT_TRANSFER in error.problem
    assert played.called == ["land", "build"]


def test_a_baseline_is_not_judged_by_models_that_were_built_for_another(settings, played):
    played.build()
    played.statuses, played.has_models = {"build": 1}, False
    error = refused(lambda: stages.baseline(settings, has_backup=True, again=True, steps=played))
    assert error.exit_status == 1 and journal.DBT_TRANSFER in error.problem
    assert "mark" not in played.called
    assert rows(settings, "select baseline_snapshot from transfer.boxes") == [(None,)]
    assert rows(settings, "select * from ops.snapshots where source = 'box' and label = 'baseline'") == []


def test_a_delta_that_has_nothing_to_send_says_what_waits_to_be_tried_again(settings, played, capsys):
    digest = hashlib.md5(b"create{}", usedforsecurity=False).hexdigest()
    with closing(open_warehouse(settings.warehouse)) as connection:
        connection.execute(
            """insert into transfer.dead_letters values (
                   'box.test', 'cloud.test', 'lead', '0', 'REFUSED', '', 3, now()::timestamp, '2100-01-01',
                   json_object('digest', ?))""",
            [digest],
        )
    played.to_do = [1]
    assert refused(lambda: stages.delta(settings, WORD, played)).exit_status == 4
    assert "push" not in played.called
    assert "nothing to do before the next try of 1" in capsys.readouterr().out


def test_status_says_first_that_the_last_stage_did_not_end_well(settings, played):
    played.to_do, played.killed_at = [1], 2
    with pytest.raises(SystemExit):
        stages.final(settings, "frozen", WORD, played)
    connection = open_warehouse(settings.warehouse)
    told = list(status.lines(connection, settings, None))
    connection.close()
    assert "publish transfer final" in told[1] and "it was stopped; run it again" in told[1]


def test_a_step_that_fails_ends_the_stage_with_its_status(settings, played):
    played.statuses = {"land": 1}
    error = refused(lambda: stages.delta(settings, WORD, played))
    assert error.exit_status == 1 and journal.INGEST_BITRIX24 in error.problem
    assert played.called == ["land"]


def test_what_is_set_aside_ends_a_stage_with_4_and_a_final_run_is_not_kept_going_by_it(settings, played):
    played.to_do, played.statuses = [2, 2, 2, 2, 2, 2, 2], {"push": 4}
    assert refused(lambda: stages.final(settings, "frozen", WORD, played)).exit_status == 4
    # built once more, for the comparison to see what was refused
    assert played.called == ["land anew", "build", "push", "build", "hand over"]
    assert refused(lambda: stages.delta(settings, WORD, played)).exit_status == 4


def test_portals_that_differ_without_a_reason_end_a_final_run_with_3_and_hand_nothing_over(settings, played):
    played.is_exact = False
    assert refused(lambda: stages.final(settings, "frozen", WORD, played)).exit_status == 3
    assert "hand over" not in played.called
    played.refused = 1  # what differs is what the box refused
    assert refused(lambda: stages.final(settings, "frozen", WORD, played)).exit_status == 4
    assert "hand over" in played.called


def test_a_stage_begins_only_while_no_other_run_goes_on(settings, played):
    with only_run(settings.warehouse):
        assert refused(lambda: stages.delta(settings, WORD, played)).exit_status == OVERLAPS


def test_the_forecast_is_kept_beside_what_a_final_run_took(settings, played, capsys):
    played.to_do = [3, 0]
    stages.rehearsal(settings, WORD, played)
    played.to_do = [3, 0]
    stages.final(settings, "frozen", WORD, played)
    ((forecast,),) = rows(
        settings, "select detail ->> '$.forecast_seconds' from ops.steps where step = 'publish transfer final'"
    )
    assert forecast is not None
    told = capsys.readouterr().out
    assert "without people's steps of which no time is in the journal: freeze, dates, look" in told
    assert "freeze at" in told and "that took 50 s; the forecast was" in told


def test_a_final_run_is_forecast_by_what_has_changed_in_the_cloud_since_it_was_read(settings, played):
    played.to_do = [3, 0]
    stages.rehearsal(settings, WORD, played)
    forecasts = []
    for changed, to_do in (({}, []), ({"lead": 1}, [1, 0])):
        played.changed, played.to_do = changed, to_do
        stages.final(settings, "frozen", WORD, played)
        sql = """select (detail ->> '$.forecast_seconds')::double from ops.steps
                 where step = 'publish transfer final' order by started_at desc limit 1"""
        forecasts.append(rows(settings, sql)[0][0])
    assert 20 <= forecasts[0] < 30, "one pass, that finds nothing"
    assert 50 <= forecasts[1] < 75, "two, and a push between them"
    with closing(open_warehouse(settings.warehouse)) as connection:
        facts = [line for line in status.lines(connection, settings, None) if line.startswith("final run")]
    assert ["that took 20 s" in facts[0], "that took 50 s" in facts[1]] == [True, True], facts


def test_a_baseline_and_a_final_run_killed_after_any_of_their_steps_go_on_when_they_are_run_again(settings):
    steps = Played(settings.warehouse, mark=None)
    for step in range(3):
        steps.called, steps.killed_at = [], step
        with pytest.raises(SystemExit):
            stages.baseline(settings, has_backup=False, again=False, steps=steps)
    steps.killed_at = -1
    stages.baseline(settings, has_backup=False, again=False, steps=steps)
    for step in range(6):
        steps.called, steps.killed_at, steps.to_do = [], step, [2, 0]
        with pytest.raises(SystemExit):
            stages.final(settings, "frozen", WORD, steps)
    steps.called, steps.killed_at = [], -1
    stages.final(settings, "frozen", WORD, steps)
    assert steps.called[-1] == "hand over"


def test_a_letter_of_a_record_that_nobody_wants_any_more_is_dropped_and_the_others_are_tried_at_once(settings, played):
    connection = open_warehouse(settings.warehouse)
    connection.execute(
        """insert into transfer.dead_letters
           values ('box.test', 'cloud.test', 'lead', '999', 'REFUSED', '', 3, now()::timestamp, '2100-01-01', '{}')"""
    )
    connection.close()
    stages.final(settings, "frozen", WORD, played)
    assert rows(settings, "select * from transfer.dead_letters") == []


def test_dead_letters_are_due_at_once_when_somebody_asks_for_that(settings, played, monkeypatch):
    connection = open_warehouse(settings.warehouse)
    for source in ("cloud.test", "other.test"):
        connection.execute(
            """insert into transfer.dead_letters
               values ('box.test', ?, 'lead', '9', 'REFUSED', '', 3, now()::timestamp, '2100-01-01', '{}')""",
            [source],
        )
    connection.close()
    for name, value in (("WAREHOUSE", settings.warehouse), ("CLOUD_WEBHOOK", CLOUD), ("BOX_WEBHOOK", BOX)):
        monkeypatch.setenv(f"SVOD_{name}", str(value))
    app(["retry", "--id", "9"], standalone_mode=False)
    due = "select source_portal from transfer.dead_letters where next_at < '2100-01-01'"
    assert rows(settings, due) == [("cloud.test",)]
    with pytest.raises(OperatorError, match="nothing like that"):
        app(["retry", "--entity", "deal"], standalone_mode=False)


def test_headings_of_the_status_are_in_the_language_that_is_set(settings, played):
    connection = open_warehouse(settings.warehouse)
    titles = {
        language: [table.title for table in status.tables(connection, settings.model_copy(update={"lang": language}))]
        for language in ("ru", "en")
    }
    connection.close()
    assert titles["ru"][0] == "Этапы" and titles["en"][0] == "Stages"


def test_the_word_that_automation_is_off_ends_with_a_final_run_that_left_nothing(settings, played):
    connection = open_warehouse(settings.warehouse)
    boxes.say_automation_is_off(connection, "box.test")
    connection.close()
    content = settings.warehouse.parent / "transfer" / "files" / "a1b2"
    content.parent.mkdir(parents=True)
    content.write_bytes(b"content")
    stages.delta(settings, WORD, played)
    assert rows(settings, "select automation_off_at is not null from transfer.boxes") == [(True,)]
    assert content.exists()
    stages.final(settings, "frozen", WORD, played)
    assert rows(settings, "select automation_off_at is not null from transfer.boxes") == [(False,)]
    assert not content.exists(), "contents of files wait for no other run"
