"""One cycle: what goes on when a step fails, what stops it, how it ends. The steps are stand-ins that do as told."""

import fcntl
import importlib.util
import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ingest.warehouse import period
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.lock import only_run
from ingest.warehouse.snapshot import snapshot_path
from publish import cli, pipeline
from publish import cycle as cycles
from publish.portals import answers_of
from publish.sandbox import Limits, RunningSandbox
from tests.failures_page import as_on_the_page

PASSES = pipeline.MODELS
STEP = """#!{python}
import os, pathlib, sys
folder = pathlib.Path({folder!r})
name = " ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]])
with open(folder / "ran", "a") as ran:
    ran.write(name + "\\n")
(folder / "environment").write_text("\\n".join(f"{{k}}={{v}}" for k, v in os.environ.items()))
known = dict(line.split("=") for line in (folder / "statuses").read_text().splitlines())
status = int(known.get(name.replace(" --full", ""), 0))
os.kill(os.getpid(), -status) if status < 0 else sys.exit(status)
"""
ALL = ["ingest mysql", "ingest json", "ingest kafka", "passes.py", "publish push"]


@pytest.fixture
def cycle(tmp_path, monkeypatch, capfd):
    """Runs a cycle whose steps end as told: (exit status, steps that ran, output, errors)."""
    for name in ("ingest", "publish", "passes.py"):
        program = tmp_path / name
        program.write_text(STEP.format(python=sys.executable, folder=str(tmp_path)))
        program.chmod(0o755)
    for name in list(os.environ):
        if name.startswith("SVOD_"):
            monkeypatch.delenv(name)
    (tmp_path / "settings").touch(mode=0o600)
    monkeypatch.setenv("SVOD_ENV_FILE", str(tmp_path / "settings"))
    monkeypatch.setenv("SVOD_WAREHOUSE", str(tmp_path / "svod.duckdb"))
    monkeypatch.setenv("SVOD_SHOP_B_FILES", "*.json")
    monkeypatch.setattr(pipeline, "BIN", tmp_path)
    monkeypatch.setattr(pipeline, "MODELS", tmp_path / "passes.py")

    def run(*arguments: str, **statuses: int) -> tuple[int, list[str], str, str]:
        told = {name.replace("_", " ").replace("passes", "passes.py"): status for name, status in statuses.items()}
        (tmp_path / "statuses").write_text("\n".join(f"{name}={status}" for name, status in told.items()))
        (tmp_path / "ran").write_text("")
        monkeypatch.setattr(sys, "argv", ["publish", "run", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return ended.value.code or 0, (tmp_path / "ran").read_text().splitlines(), out, err

    run.folder = tmp_path
    return run


def test_a_cycle_reads_all_sources_builds_the_models_and_pushes(cycle):
    assert cycle()[:2] == (0, ALL)
    assert cycle("--full")[1] == ["ingest mysql --full", "ingest json --full", ALL[2], "passes.py --full", *ALL[4:]]


@pytest.mark.parametrize("failing", ["ingest mysql", "ingest json", "ingest kafka"])
@pytest.mark.parametrize("status", [1, 2, -9, 70])
def test_a_source_that_fails_in_whatever_way_keeps_nothing_else_from_going_on(cycle, failing, status):
    ended, ran, _, err = cycle(**{failing.replace(" ", "_"): status})
    assert ran == ALL
    assert ended == (2 if status == 2 else 1)
    assert f"error: this run failed: {failing}\n" in err and as_on_the_page("this run failed: …", err)


def test_models_that_failed_are_published_when_the_gate_lets_them(cycle):
    """So it is when the registry alone failed."""
    ended, ran, _, err = cycle(passes=1)
    assert (ended, ran) == (1, ALL)
    assert "this run failed: the models" in err
    ended, ran, _, err = cycle(passes=1, publish_push=3)
    assert (ended, ran) == (3, ALL)
    assert as_on_the_page("stopped before the portal by a gate: publish push", err)


def test_a_push_that_did_not_begin_is_said_to_have_sent_nothing(cycle):
    """As its row in the journal says, which the real program writes: no request was made."""
    row = "insert into ops.steps (run_id, step, started_at, status) values (?, 'publish push', now(), 'failed')"
    (cycle.folder / "publish").write_text(
        f"#!{sys.executable}\nimport os, sys, duckdb\n"
        f"connection = duckdb.connect(os.environ['SVOD_WAREHOUSE'])\n"
        f"connection.execute({row!r}, [os.environ['SVOD_RUN_ID']])\n"
        "sys.exit(1)\n"
    )
    ended, _, _, err = cycle()
    assert ended == 1 and "this run failed: publish push; nothing was sent" in err


@pytest.mark.parametrize(
    ("statuses", "ended"),
    [
        ({"publish_push": 4}, 4),
        ({"publish_push": 4, "ingest_kafka": 1}, 1),
        ({"publish_push": 3, "ingest_kafka": 1}, 3),
        ({"publish_push": 2, "ingest_kafka": 1}, 2),
        ({"ingest_mysql": 2, "publish_push": 3}, 2),
        ({"publish_push": 1}, 1),
    ],
)
def test_the_gravest_status_is_that_of_the_cycle(cycle, statuses, ended):
    assert cycle(**statuses)[0] == ended


@pytest.mark.parametrize("name", ["SVOD_SHOP_A_URL", "SVOD_BITRIX24_WEBHOOK", "SVOD_SINCE", "SVOD_REGISTRY_RATE"])
def test_wrong_settings_of_either_program_are_told_before_anything_runs(cycle, monkeypatch, name):
    monkeypatch.setenv(name, "s3cret")
    ended, ran, _, err = cycle()
    assert (ended, ran) == (2, [])
    assert name in err and "s3cret" not in err


def test_all_wrong_settings_of_both_programs_are_told_at_once_and_each_once(cycle, monkeypatch):
    for name in ("SVOD_SHOP_A_URL", "SVOD_SINCE", "SVOD_BITRIX24_WEBHOOK", "SVOD_BITRIX24_RATE", "SVOD_SHOP_A_ULR"):
        monkeypatch.setenv(name, "s3cret")
    ended, ran, _, err = cycle()
    assert (ended, ran) == (2, [])
    assert as_on_the_page("… settings are wrong", err) and as_on_the_page("…, set in …, is no setting", err)
    assert err.startswith("error: 5 settings are wrong\n") and err.endswith("hint: nothing was started\n")
    for name in (
        "SVOD_SHOP_A_URL is",
        "SVOD_SINCE is",
        "SVOD_BITRIX24_WEBHOOK is not of the form",
        "SVOD_BITRIX24_RATE has to be a number",
        "SVOD_SHOP_A_ULR,",
    ):
        assert err.count(name) == 1, name
    assert "did you mean SVOD_SHOP_A_URL?" in err and "s3cret" not in err


def test_that_there_is_no_webhook_is_told_before_an_hour_of_landing_which_goes_on(cycle):
    ended, ran, _, err = cycle()
    assert (ended, ran) == (0, ALL)
    told = "SVOD_BITRIX24_WEBHOOK is not set: everything but publishing is done, and the run ends with 2"
    assert err.startswith(f"warning: {told}\n") and as_on_the_page(told, err)


def test_a_webhook_that_the_portal_does_not_know_ends_a_run_before_it_begins(cycle, monkeypatch):
    with RunningSandbox(limits=Limits.none(), secret="right") as sandbox:
        monkeypatch.setenv("SVOD_BITRIX24_WEBHOOK", sandbox.webhook.replace("right", "wr0ngs3cret"))
        ended, ran, _, err = cycle()
        assert (ended, ran) == (2, [])
        assert as_on_the_page("the portal refuses: …", err)
        assert "check SVOD_BITRIX24_WEBHOOK" in err and "wr0ngs3cret" not in err
        monkeypatch.setenv("SVOD_BITRIX24_WEBHOOK", sandbox.webhook)
        assert (cycle()[0], sandbox.portal.writes()) == (0, {})


def test_a_portal_that_cannot_be_reached_is_told_within_seconds_and_the_run_goes_on(cycle, monkeypatch):
    monkeypatch.setenv("SVOD_BITRIX24_WEBHOOK", "http://127.0.0.1:1/rest/1/t0psecret/")
    monkeypatch.setattr("publish.bitrix24.trial.PATIENCE_S", 1)
    ended, ran, _, err = cycle()
    assert (ended, ran) == (0, ALL)
    with open_warehouse(cycle.folder / "svod.duckdb") as connection:
        answers = answers_of(connection, "127.0.0.1:1")
        assert answers.heard_at is None and answers.silent_since
        assert answers.problem == "127.0.0.1 cannot be reached (ConnectError)"
    assert err.startswith("warning: 127.0.0.1 cannot be reached")
    assert as_on_the_page("… cannot be reached (ConnectError) so far: is SVOD_BITRIX24_WEBHOOK right?", err)


def test_a_run_without_any_source_is_wrong_settings(cycle, monkeypatch):
    """As with a file of settings that somebody has overwritten: else all of it is skipped, and well."""
    monkeypatch.delenv("SVOD_SHOP_B_FILES")
    ended, ran, _, err = cycle()
    assert as_on_the_page("no source is set: a run has nothing to read (…)", err)
    assert (ended, ran) == (2, []) and "SVOD_SHOP_A_URL, SVOD_SHOP_B_FILES" in err


def test_steps_get_what_the_settings_file_says_and_the_environment_wins(cycle, monkeypatch):
    (cycle.folder / "settings").write_text("SVOD_MART_CHANGE_LIMIT=0.6\nSVOD_SINCE=2025-01-01\n")
    monkeypatch.setenv("SVOD_SINCE", "2024-01-01")
    assert cycle()[0] == 0
    environment = (cycle.folder / "environment").read_text().splitlines()
    assert {"SVOD_MART_CHANGE_LIMIT=0.6", "SVOD_SINCE=2024-01-01"} <= {*environment}
    assert any(line.startswith("SVOD_RUN_ID=") for line in environment)


def test_a_second_cycle_is_refused_while_one_runs(cycle):
    with (cycle.folder / "svod.duckdb.run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended, ran, _, err = cycle()
    assert (ended, ran) == (75, [])
    assert "another run holds" in err
    with only_run(cycle.folder / "svod.duckdb"):
        err = cycle()[3]
        assert f"another run (process {os.getpid()}, since 2" in err
        assert as_on_the_page("another run (process …, since …) holds …", err)
    assert cycle()[0] == 0


def test_a_cycle_that_is_stopped_stops_its_step_and_what_that_has_started(cycle):
    (cycle.folder / "ingest").write_text(
        f"#!{sys.executable}\nimport subprocess\nsubprocess.run('echo began; sleep 60', shell=True)\n"
    )
    script = (
        "import sys; from pathlib import Path; from publish import cli, pipeline;"
        f"pipeline.BIN = Path({str(cycle.folder)!r}); sys.argv[1:] = ['run']; cli.main()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "began\n"
        running.terminate()
        assert running.wait(20) == 143
        assert running.stdout.read() == ""  # nobody holds the pipe any more
    (cycle.folder / "ingest").write_text(STEP.format(python=sys.executable, folder=str(cycle.folder)))
    assert cycle()[0] == 0


def test_the_registrys_step_holds_the_lock_of_the_run_as_all_steps_do(cycle, monkeypatch):
    spec = importlib.util.spec_from_file_location("passes", PASSES)
    passes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(passes)
    monkeypatch.setattr(passes, "BIN", cycle.folder)
    for program, status in (("os.fstat(int(os.environ['LOCK']))", 0), ("os.fstat(987)", 1)):
        (cycle.folder / "ingest").write_text(f"#!{sys.executable}\nimport os\n{program}\n")
        with only_run(cycle.folder / "svod.duckdb") as lock:
            os.set_inheritable(lock, True)  # as it is for whoever was given it
            monkeypatch.setenv("LOCK", str(lock))
            assert passes.ask_registry() == status


def test_there_is_a_copy_to_read_from_the_first_step_on_and_it_is_renewed_before_the_push(cycle):
    seen = cycle.folder / "seen"
    program = f"""#!{sys.executable}
import os, time
copy = {str(snapshot_path(cycle.folder / "svod.duckdb"))!r}
with open({str(seen)!r}, "a") as seen:
    seen.write(f"{{os.stat(copy).st_mtime_ns}}\\n")
"""
    for name in ("ingest", "publish"):
        (cycle.folder / name).write_text(program)
    assert cycle()[0] == 0
    *before_models, before_push = seen.read_text().split()
    assert len(set(before_models)) == 1
    assert before_push not in before_models


@pytest.mark.parametrize(("requests", "is_copied"), [(0, False), (3, True)])
def test_no_copy_is_made_after_a_push_that_asked_nothing(cycle, monkeypatch, requests, is_copied):
    """The one of before it stays the copy to read, also when the next run begins."""
    (cycle.folder / "publish").write_text(
        f"""#!{sys.executable}
import pathlib, sys
sys.path.insert(0, {str(PASSES.parents[1])!r})
from ingest.warehouse import journal
from ingest.warehouse.connection import open_warehouse
connection = open_warehouse(pathlib.Path({str(cycle.folder / "svod.duckdb")!r}))
with journal.step(connection, journal.PUBLISH_PUSH) as step:
    step.detail["requests"] = {requests}
connection.close()
"""
    )
    copies, make = [], cycles.make_snapshot
    monkeypatch.setattr(
        cycles, "make_snapshot", lambda *arguments, **mask: copies.append(1) or make(*arguments, **mask)
    )
    for run in range(2):
        copies.clear()
        assert cycle()[0] == 0
        assert len(copies) == (run == 0) + 1 + is_copied


def starts_on(cycle, day: str | None = None) -> date:
    """Where the period begins; set before, when a day is given."""
    with closing(open_warehouse(cycle.folder / "svod.duckdb")) as connection:
        if day:
            period.move(connection, date.fromisoformat(day))
        return period.start(connection)


def test_a_new_year_moves_the_period_only_when_told_to(cycle):
    begins = period.start_by_calendar()
    assert starts_on(cycle) == begins
    assert "period" not in cycle()[2]
    last_years = f"{begins.year - 1}-01-01"
    starts_on(cycle, last_years)  # as of a warehouse that was made a year ago
    for mode in ([], ["--full"]):
        ended, _, out, _ = cycle(*mode)
        assert ended == 0
        assert f"the period still begins on {last_years}" in out and "--move-period" in out
    assert starts_on(cycle) == date.fromisoformat(last_years)
    assert f"the period begins on {begins} now, no longer on {last_years}" in cycle("--full", "--move-period")[2]
    assert starts_on(cycle) == begins


def test_a_period_that_is_set_is_not_moved(cycle, monkeypatch):
    monkeypatch.setenv("SVOD_SINCE", "2020-01-01")
    assert "period" not in cycle()[2]
    ended, ran, _, err = cycle("--move-period")
    assert (ended, ran) == (2, [])
    assert "SVOD_SINCE" in err


def test_the_year_is_that_of_moscow():
    assert period.start_by_calendar(datetime(2026, 12, 31, 20, 59, tzinfo=UTC)) == date(2025, 1, 1)
    assert period.start_by_calendar(datetime(2026, 12, 31, 21, 0, tzinfo=UTC)) == date(2026, 1, 1)


def test_a_warehouse_of_before_keeps_the_period_its_marts_were_made_for(tmp_path):
    path = tmp_path / "svod.duckdb"
    with closing(open_warehouse(path)) as connection:
        connection.execute("drop table ops.period")
        connection.execute(  # 1 January 2024 in Moscow
            """insert into ops.mart_sizes (mart, row_count, period_start, run_id, measured_at)
               values ('crm_companies', 1, '2023-12-31 21:00', 'r', '2025-06-01')"""
        )
    with closing(open_warehouse(path)) as connection:
        assert period.start(connection) == date(2024, 1, 1)


def test_the_journal_names_the_step_and_the_sources_that_failed(cycle, monkeypatch):
    monkeypatch.setenv("SVOD_RUN_ID", "this-run")
    with closing(open_warehouse(cycle.folder / "svod.duckdb")) as connection:
        connection.execute(
            """insert into ops.steps (run_id, step, started_at, status) values
               ('this-run', 'ingest mysql', now(), 'failed'), ('this-run', 'ingest registry', now(), 'failed'),
               ('that-run', 'ingest kafka', now(), 'failed')"""
        )
        connection.execute(
            """insert into ops.source_reads values
               ('shop_a', 'MySQL', now(), null, now(), 'down'), ('shop_c', 'MySQL', now(), null, now(), 'down')"""
        )
    err = cycle(ingest_mysql=1, passes=1)[3]
    assert "error: this run failed: ingest mysql (shop_a, shop_c), ingest registry\n" in err


def test_old_versions_go_at_the_end_and_the_file_gets_smaller(cycle, monkeypatch):
    path = cycle.folder / "svod.duckdb"
    with closing(open_warehouse(path)) as connection:
        connection.execute(
            """insert into raw.dead_letters select 's', uuid()::varchar, uuid()::varchar, uuid()::varchar::blob, 'run',
               if(range = 0, now(), now() - interval 40 day)::timestamp from range(100000);
               insert into ops.steps (run_id, step, started_at, status)
               values ('run', 'dbt after_registry', now()::timestamp, 'done')"""
        )
    size = path.stat().st_size
    assert cycle()[:2] == (0, ALL)
    assert path.stat().st_size == size
    monkeypatch.setenv("SVOD_RETENTION_DAYS", "30")
    ended, ran, out, _ = cycle()
    assert (ended, ran) == (0, ALL)
    assert "99,999 rows older than 30 days went" in out
    assert path.stat().st_size < size / 2
    with closing(open_warehouse(path)) as connection:
        assert connection.execute("select count(*) from raw.dead_letters").fetchall() == [(1,)]


def test_a_disk_without_room_for_the_copy_does_not_stop_the_cycle(cycle, monkeypatch):
    monkeypatch.setattr("ingest.warehouse.snapshot.COPY_USED", ("/bin/sh", "-c", "echo cp: no room >&2; exit 1"))
    ended, ran, _, err = cycle()
    assert (ended, ran) == (0, ALL)
    assert "the copy for readers cannot be made: no room" in err


def test_the_programs_are_where_the_cycle_looks_for_them():
    assert Path(pipeline.MODELS).is_file()
    assert (pipeline.BIN / "ingest").is_file() and (pipeline.BIN / "publish").is_file()
