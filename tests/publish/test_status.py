"""How things stand: the verdict, the screen, the figures for a monitor; and who is told, once."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from ingest.status import LAST_STEPS
from ingest.warehouse import clock, gaps, journal, reads, running, terminal
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.errors import OperatorError
from ingest.warehouse.snapshot import make_snapshot
from publish import after_run, cli, notify, portals, status_command
from publish.models import building
from publish.settings import read_settings
from publish.standing import Problem
from tests.failures_page import as_on_the_page
from tests.publish import marts

SECRET = "s3cr3tw0rd"


@pytest.fixture
def svod(tmp_path, monkeypatch, capsys, warehouse_with_marts):
    """Runs `publish` on a warehouse with marts and no portal: (exit status, output, errors)."""
    path = Path(shutil.copy(warehouse_with_marts, tmp_path))
    with open_warehouse(path) as connection:
        marts.fill(connection, 3, 3, 3)
        connection.execute("update ops.steps set started_at = started_at - interval 1 day, finished_at = started_at")
    for name in list(os.environ):
        if name.startswith("SVOD_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SVOD_ENV_FILE", os.devnull)
    monkeypatch.setenv("SVOD_WAREHOUSE", str(path))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["publish", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err and SECRET not in printed.out + printed.err
        return ended.value.code or 0, printed.out, printed.err

    run.path = path
    return run


def ended(svod, step: str, status: str = "done", minutes: int = 12, **detail) -> None:
    """A step that ended so many minutes ago."""
    at = journal.utc_now() - timedelta(minutes=minutes)
    with open_warehouse(svod.path) as connection:
        connection.execute(
            "insert into ops.steps values (?, ?, ?, ?, ?, 5, 177, ?)",
            [f"r-{minutes}", step, at - timedelta(seconds=7), None if status == "running" else at, status,
             json.dumps(detail)],
        )  # fmt: skip


def test_the_first_line_says_that_all_is_well_and_the_screen_fits_a_terminal(svod):
    for step in ("ingest mysql", "dbt before_registry", "ingest registry", "dbt after_registry"):
        ended(svod, step)
    ended(svod, "ingest json", skipped="SVOD_SHOP_B_FILES is not set")
    ended(svod, "publish push", requests=3)
    status, out, err = svod("status")
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert lines[0] == "OK: last publish 12 minutes ago, 177 changes, 0 refused"
    assert len(lines) <= 40 and max(map(len, lines)) <= 110
    assert any(line.startswith("ingest json") and "skipped: SVOD_SHOP_B_FILES" in line for line in lines)
    assert any(line.startswith("ingest mysql") and "7 s" in line and "177" in line for line in lines)


@pytest.mark.parametrize(
    ("step", "status", "detail", "verdict", "words"),
    [
        ("publish push", "gated", {"error": "too much would change", "hint": "`publish push --let-through`"},
         "NOT OK: publish push was stopped 3 minutes ago: too much would change; `publish push --let-through`",
         "NOT OK: … was stopped … ago: …"),
        ("publish push", "running", {},
         "NOT OK: publish push was killed 3 minutes ago; `make incremental` goes on from there",
         "NOT OK: … was killed … ago"),
        ("dbt after_registry", "gated", {"gates": [{"test": "inn_is_unique", "rows": 2}]},
         "NOT OK: dbt after_registry was stopped 3 minutes ago: did not pass: inn_is_unique; "
         "`publish gate` shows the rows", "NOT OK: … was stopped … ago: …"),
        ("ingest mysql", "failed", {"error": "MySQL is down", "hint": "is it up?"},
         "NOT OK: ingest mysql failed 3 minutes ago: MySQL is down; is it up?", "NOT OK: … failed … ago: …"),
        ("publish push", "done", {"dead_letters_now": 2},
         "NOT OK: the portal refused 2 records 3 minutes ago; `publish status --details` says why; they are tried "
         "again by themselves", "NOT OK: the portal refused … records … ago"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_the_first_line_with_what_to_do(svod, step, status, detail, verdict, words):
    ended(svod, "dbt after_registry")
    ended(svod, "publish push")
    ended(svod, step, status, 3, **detail)
    exit_status, out, _ = svod("status")
    assert (exit_status, out.splitlines()[0], as_on_the_page(words, out)) == (1, verdict, True)
    assert svod("status", "--json")[0] == 1


def test_nothing_is_cut_off_in_a_file_and_a_long_verdict_is_a_short_line_with_its_reasons_below(svod, monkeypatch):
    why = "the plan would write 9,061 parts, " + "0 are published, " * 20 + "SVOD_FUSE_SHARE=0.2 lets less through"
    ended(svod, "ingest mysql", skipped="SVOD_SHOP_A_URL is not set; " + "x" * 90 + " end")
    ended(svod, "publish push", "gated", 3, error=why, hint="`publish push --let-through`")
    with open_warehouse(svod.path) as connection:
        for entity in ("address", "bank_detail", "company", "company_contact", "contact", "deal", "deal_contact"):
            ledger = "'', $1, $1, 1, '{}', '{}', false, now()::timestamp, null, 0, 0"
            connection.execute(f"insert into sync.ledger values ({ledger})", [entity])
    lines = svod("status")[1].splitlines()
    assert lines[0] == "NOT OK: publish push was stopped 3 minutes ago"
    assert lines[1].startswith("  why    the plan would write") and lines[2].startswith("         ")
    assert any(line.startswith("  to do  `publish push --let-through`") for line in lines[:8])
    assert any(line.startswith("ingest mysql") and line.endswith(" end") for line in lines)
    assert "in the portal  company 1, contact 1, deal 1, address 1" in "\n".join(lines)
    monkeypatch.setattr(status_command, "_width", lambda: 60)
    assert max(map(len, [line for line in svod("status")[1].splitlines() if line.startswith("ingest")])) == 60


def test_what_keeps_everything_from_the_portal_comes_before_what_keeps_some_of_it(svod):
    ended(svod, "ingest mysql", "failed", error="down")
    ended(svod, "publish push", "gated", error="too much")
    _, out, _ = svod("status")
    assert out.startswith("NOT OK: publish push was stopped") and "(and 1 more, see below)" in out.splitlines()[0]
    assert "\nalso: ingest mysql failed" in out


def test_the_status_of_the_sources_calls_a_skipped_step_skipped(svod):
    ended(svod, "ingest json", skipped="SVOD_SHOP_B_FILES is not set")
    ended(svod, "ingest mysql", skipped="SVOD_SHOP_A_URL is not set", **{"shop_c.clients": {"read": 3}})  # a second one
    with open_warehouse(svod.path) as connection:
        told = {step: (status, why) for step, status, *_, why in connection.execute(LAST_STEPS).fetchall()}
    assert told["ingest json"] == ("skipped", "SVOD_SHOP_B_FILES is not set") and told["ingest mysql"][0] == "done"


def test_a_cron_that_has_stopped_is_not_well(svod, monkeypatch):
    ended(svod, "publish push", minutes=27 * 60)
    told = svod("status")[1]
    assert told.startswith("NOT OK: nothing was published for 27 hours; does cron run")
    assert as_on_the_page("NOT OK: nothing was published for …; does cron run", told)
    monkeypatch.setenv("SVOD_PUBLISH_MAX_AGE_HOURS", "0")
    assert svod("status")[:1] == (0,)


def test_a_push_that_is_refused_for_whatever_reason_has_its_row(svod, monkeypatch):
    """That there is no webhook, that the models never ran: it is in the journal, and in the status."""
    assert svod("push")[0] == 2
    assert "publish push failed 0 seconds ago: SVOD_BITRIX24_WEBHOOK is not set" in svod("status")[1]
    monkeypatch.setenv("SVOD_BITRIX24_WEBHOOK", f"http://127.0.0.1:9/rest/1/{SECRET}/")
    with open_warehouse(svod.path) as connection:
        connection.execute("update marts.crm_companies set title = 'x'")
    assert svod("push")[0] == 3
    assert svod("status")[1].startswith("NOT OK: publish push was stopped")


def test_machines_get_all_of_it(svod):
    ended(svod, "publish push")
    told = json.loads(svod("status", "--json")[1])
    assert told["ok"] and told["last_publish"]["changes"] == 177 and told["last_publish"]["age"] in range(700, 760)
    assert {step["step"]: step["status"] for step in told["steps"]} == {
        "dbt after_registry": "done",
        "publish push": "done",
    }


def test_the_file_for_the_monitor_is_whole_readable_by_it_and_says_what_the_status_says(svod, monkeypatch, tmp_path):
    file = tmp_path / "svod.prom"
    monkeypatch.setenv("SVOD_METRICS_FILE", str(file))
    ended(svod, "publish push", "failed", error="down")
    svod("status")
    lines = file.read_text(encoding="utf-8").splitlines()
    assert "svod_ok 0" in lines and 'svod_step_ok{step="publish push"} 0' in lines
    samples = [line for line in lines if not line.startswith("#")]
    assert all(len(line.rsplit(" ", 1)) == 2 and float(line.rsplit(" ", 1)[1]) >= 0 for line in samples)
    assert file.stat().st_mode & 0o777 == 0o644 and [path.name for path in tmp_path.glob("*.prom*")] == ["svod.prom"]
    monkeypatch.setenv("SVOD_METRICS_FILE", str(tmp_path / "nowhere" / "svod.prom"))
    assert "check SVOD_METRICS_FILE" in svod("status")[2]


def test_while_a_step_goes_on_the_status_says_which_since_when_and_how_far(svod):
    ended(svod, "publish push")
    make_snapshot(svod.path)
    program = """if True:
        import pathlib, sys
        from ingest.warehouse import running
        from ingest.warehouse.connection import open_warehouse
        connection = open_warehouse(pathlib.Path(sys.argv[1]))
        with running.told.step(pathlib.Path(sys.argv[1]), "publish push", "r"):
            running.told._written_at = 0.0
            running.told.progress("parts", 1200, 2400)
            print("begun", flush=True)
            sys.stdin.read()"""
    command = [sys.executable, "-c", program, str(svod.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as step:
        assert step.stdout.readline() == "begun\n"
        status, out, _ = svod("status")
        assert status == 0 and "running    publish push for " in out and "parts: 1,200 of 2,400 (50 %)" in out
        assert "read from  publish push goes on: this is its copy of" in out
        assert json.loads(svod("status", "--json")[1])["running"]["done"] == 1200
        step.kill()
        step.wait()
    assert running.seen(svod.path).step == "publish push"  # it could not take it back
    assert "running " not in svod("status")[1]
    ended(svod, "publish push", "running", 1)
    assert svod("status")[1].startswith("NOT OK: publish push was killed")


def test_a_topic_that_is_too_far_ahead_of_the_portal_is_not_well_while_it_is_followed(svod, monkeypatch, tmp_path):
    ended(svod, "publish push", minutes=30 * 60)
    with open_warehouse(svod.path) as connection:
        for part, state, problem in (("follow", "works", None), ("shop_b (Kafka)", "paused", "it is down")):
            row = [part, state, journal.utc_now() - timedelta(hours=2), 1, None, problem, journal.utc_now()]
            connection.execute("insert into ops.follow values (?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("insert into ops.lag values ('shop_b', 12, 301, null, null, ?)", [journal.utc_now()])
    monkeypatch.setenv("SVOD_METRICS_FILE", str(tmp_path / "svod.prom"))
    status, out, _ = svod("status")
    assert status == 1 and out.startswith("NOT OK: events of shop_b wait for 301 s, 300 are let pass")
    assert as_on_the_page("NOT OK: events of … wait for … s, … are let pass", out)
    assert "follows    for 2 hours; shop_b 12 messages, 301 s behind" in out
    assert "pauses   shop_b (Kafka) for 2 hours: it is down" in out
    assert 'svod_lag_messages{source="shop_b"} 12\n' in (tmp_path / "svod.prom").read_text()
    monkeypatch.setenv("SVOD_LAG_LIMIT_SECONDS", "0")
    assert svod("status")[0] == 0  # nothing to publish for 30 hours is no sign that it stands still
    with open_warehouse(svod.path) as connection:
        connection.execute("update ops.follow set measured_at = measured_at - interval 1 hour")
    assert svod("status")[1].startswith("NOT OK: nothing was published for 30 hours")


KILLED = """if True:
    import os, pathlib, signal, subprocess, sys
    from ingest.warehouse import journal, running
    warehouse, within = pathlib.Path(sys.argv[1]), sys.argv[2]
    if within == "its step":  # which goes on, and ends well
        with running.told.step(warehouse, "ingest json", "r"):
            os.kill(os.getppid(), signal.SIGKILL)
        sys.exit()
    with running.told.step(warehouse, "publish run", "r", is_run=True):
        if within == "a step":
            subprocess.run([sys.executable, "-c", sys.argv[3], str(warehouse), "its step"])
        with running.told.step(warehouse, journal.COMPILING if within == "compiling" else "x", "r"):
            if within == "compiling":
                os.kill(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)"""


@pytest.mark.parametrize(
    ("within", "verdict"),
    [
        ("nothing", "NOT OK: publish run was killed between its steps: it began "),
        ("compiling", "NOT OK: a run was killed compiling the models: it began that "),
        ("a step", "NOT OK: publish run was killed between its steps: it began "),
    ],
)
def test_a_run_that_was_killed_between_its_steps_is_not_well_until_the_next_has_ended(svod, within, verdict):
    ended(svod, "publish push")
    assert svod("status")[0] == 0
    subprocess.run([sys.executable, "-c", KILLED, str(svod.path), within, KILLED])
    deadline = time.monotonic() + 10
    while (told := running.seen(svod.path)) is None or told.is_alive or told.step == "ingest json":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    told = svod("status")[1]
    words = "NOT OK: publish run was killed between its steps"
    assert told.startswith(verdict) and as_on_the_page(words, told) == (within != "compiling")
    with running.told.step(svod.path, "publish push", "by hand"):  # which leaves out what the run had not come to
        pass
    if within != "compiling":
        assert svod("status")[1].startswith(verdict)
    with running.told.step(svod.path, "publish run", "r2", is_run=True):
        pass
    assert svod("status")[0] == 0


def test_a_source_that_was_read_and_is_set_no_longer_is_not_well_for_a_week_and_then_a_line(svod):
    ended(svod, "publish push")
    with open_warehouse(svod.path) as connection:
        reads.attempt(connection, "shop_a", "MySQL")
        reads.settle(connection, "shop_a", "MySQL", None)
        reads.forget_others(connection, "MySQL", [])
    status, out, _ = svod("status")
    assert status == 1 and out.startswith("NOT OK: shop_a (MySQL) was read before and is set no longer; its records")
    words = "NOT OK: … was read before and is set no longer; its records stay as they were"
    assert as_on_the_page(words, out)
    assert "shop_a MySQL" in out and "set no longer for 0 seconds: its records stay as they were" in out
    with open_warehouse(svod.path) as connection:
        connection.execute("update ops.unset_sources set unset_since = unset_since - interval 8 day")
    status, out, _ = svod("status")
    assert status == 0 and "set no longer for 8 days" in out
    with open_warehouse(svod.path) as connection:
        reads.attempt(connection, "shop_a", "MySQL")
        reads.settle(connection, "shop_a", "MySQL", None)
    assert "set no longer" not in svod("status")[1]


def test_messages_that_a_topic_lost_are_not_well_until_they_came_another_way(svod):
    ended(svod, "publish push")
    with open_warehouse(svod.path) as connection:
        gaps.keep(connection, "shop_b", "t/0", 5, 6, "retention passed them", run_id="run-0")
    assert as_on_the_page("NOT OK: messages of … were lost before they were read (…)", svod("status")[1])
    with open_warehouse(svod.path) as connection:
        connection.execute("update ops.gaps set repaired_at = now()::timestamp")
    assert svod("status")[0] == 0


def test_a_portal_that_does_not_answer_is_not_well_though_nothing_is_to_be_sent(svod, monkeypatch):
    monkeypatch.setenv("SVOD_BITRIX24_WEBHOOK", f"http://127.0.0.1:9/rest/1/{SECRET}/")
    portal = "127.0.0.1:9"
    ended(svod, "publish push", requests=0)
    with open_warehouse(svod.path) as connection:
        portals.tried(connection, portal, "")
    assert svod("status")[1].startswith("OK: nothing was to be sent 12 minutes ago, the portal answered ")
    with open_warehouse(svod.path) as connection:
        portals.tried(connection, portal, "127.0.0.1 cannot be reached")
    status, out, _ = svod("status")
    assert status == 1 and out.startswith("NOT OK: 127.0.0.1:9 could not be published to when the last run began; it ")
    assert as_on_the_page("NOT OK: … could not be published to when the last run began", out)
    assert "it last answered " in out and " ago: 127.0.0.1 cannot be reached; `make check` tries it" in out
    with open_warehouse(svod.path) as connection:
        portals.saw(connection, portal, "http://127.0.0.1:9")  # the push of that run reached it all the same
    assert svod("status")[0] == 0


def test_a_step_within_a_run_gives_its_place_back(tmp_path):
    file = tmp_path / "svod.duckdb"
    with running.told.step(file, "publish run", "r"):
        with running.told.step(file, "ingest mysql", "r"):
            assert running.seen(file).step == "ingest mysql"
        assert running.seen(file).step == "publish run" and running.seen(file).is_alive
    assert running.seen(file) is None


def test_ages_are_told_by_the_one_unit_that_says_most():
    told = {0: "0 seconds ago", 1: "1 second ago", 59: "59 seconds ago", 61: "1 minute ago",
            720: "12 minutes ago", 90000: "25 hours ago",
            200000: "2 days ago", -5: "0 seconds ago"}  # fmt: skip
    assert {seconds: clock.ago(timedelta(seconds=seconds)) for seconds in told} == told


# Messages -------------------------------------------------------------------------------------------------------------


class Messages(list):
    """Those that a webhook was sent, as JSON; `status` is what it answers."""

    status, url = 200, ""


@contextmanager
def chat():
    messages = Messages()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(messages.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    messages.url = f"http://127.0.0.1:{server.server_port}/bot{SECRET}/sendMessage?chat_id=7"
    try:
        yield messages
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def messages(svod, monkeypatch):
    with chat() as messages:
        monkeypatch.setenv("SVOD_NOTIFY_URL", messages.url)
        yield messages


def test_one_message_says_what_is_wrong_and_one_that_it_is_well_again(svod, messages):
    ended(svod, "publish push")
    after_run.tell(read_settings())
    assert messages == []
    ended(svod, "ingest mysql", "failed", 4, error="MySQL is down", hint="is it up?")
    after_run.tell(read_settings())
    ended(svod, "ingest mysql", "failed", 3, error="MySQL is still down", hint="is it up?")
    after_run.tell(read_settings())  # the next night: nothing new
    assert [message["chat_id"] for message in messages] == ["7"]
    assert messages[0]["text"].startswith("Svod: NOT OK\n- ingest mysql failed 4 minutes ago: MySQL is down; is it up?")
    ended(svod, "publish push", "gated", 2, error="too much")
    after_run.tell(read_settings())  # one more thing: that one is told
    assert "too much" in messages[1]["text"] and "MySQL" not in messages[1]["text"]
    ended(svod, "publish push", minutes=1)
    ended(svod, "ingest mysql", minutes=1)
    after_run.tell(read_settings())
    after_run.tell(read_settings())
    assert len(messages) == 3 and messages[2]["text"].startswith("Svod: well again. OK: last publish 1 minute ago")


def test_a_message_that_is_not_taken_fails_nothing_and_is_sent_by_the_next_run(svod, messages, capsys):
    ended(svod, "publish push", "failed", error="down")
    messages.status = 500
    after_run.tell(read_settings())
    said = capsys.readouterr().err
    words = "the message was not taken by SVOD_NOTIFY_URL: …; the next run tries again"
    assert as_on_the_page(words, said) and "HTTP 500" in said and SECRET not in said
    messages.status = 200
    after_run.tell(read_settings())
    after_run.tell(read_settings())
    assert len(messages) == 2
    with pytest.raises(notify.NotSent, match="ConnectError") as caught:
        notify.send(SecretStr(f"http://127.0.0.1:9/{SECRET}"), "x")
    assert SECRET not in str(caught.value) and caught.value.__suppress_context__


def test_what_ends_a_run_before_it_begins_is_told_once_too(svod, messages, monkeypatch):
    monkeypatch.setenv("SVOD_FUSE_SHARE", "many")
    assert svod("run")[0] == 2
    assert svod("run")[0] == 2
    assert len(messages) == 1 and "SVOD_FUSE_SHARE" in messages[0]["text"]
    with pytest.raises(OperatorError), after_run.telling_of_its_end():
        raise OperatorError("another run holds it", exit_status=75)
    assert len(messages) == 1


def test_a_chat_of_bitrix24_gets_the_text_as_it_wants_it(messages):
    url = messages.url.replace("/sendMessage?chat_id=7", "/im.message.add.json?DIALOG_ID=chat7")
    notify.send(SecretStr(url), notify.wrong([Problem("k", "it is down", "look")]))
    assert messages[0]["DIALOG_ID"] == "chat7" and "- it is down; look" in messages[0]["MESSAGE"]


@pytest.mark.parametrize("url", [f"ftp://x/{SECRET}", SECRET, f"http://example.com/{SECRET}"])
def test_an_address_that_would_give_the_secret_away_is_a_wrong_setting(svod, monkeypatch, url):
    monkeypatch.setenv("SVOD_NOTIFY_URL", url)
    status, _, err = svod("push")
    assert status == 2 and "SVOD_NOTIFY_URL" in err


def test_dirty_sources_are_told_of_when_they_changed(tmp_path, capsys):
    """The line of every night is read by nobody."""
    test = SimpleNamespace(name="inns_that_fail", relation="failures.inns_that_fail")
    with open_warehouse(tmp_path / "svod.duckdb") as connection:
        told = []
        for rows in (3, 3, 4):
            with journal.step(connection, "dbt after_registry") as step:
                before = building._dirty_before(connection, step)
                built = building.Built(warnings=[building.Failing(test, rows)])
                step.detail = built.detail("basis", is_full_pass=True)
                building._tell_of_dirty_sources(built, before)
            told.append("inns_that_fail" in capsys.readouterr().out)
    assert told == [True, False, True]


def test_what_takes_long_says_how_far_it_is_where_there_is_no_bar(monkeypatch, capsys):
    monkeypatch.setattr(terminal, "SAY_EVERY_S", -1)
    with terminal.progress_of("models and tests", 9) as advance:
        advance(2)
    assert "models and tests: 2 of 9\n" in capsys.readouterr().err
