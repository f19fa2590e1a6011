"""The command line: exit statuses, what it prints, and what it never prints."""

import json
import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ingest.warehouse import connection as connections
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.snapshot import make_snapshot, snapshot_path
from publish import cli, sending
from publish.bitrix24.run import Result
from publish.sandbox import Limits, RunningSandbox
from tests.failures_page import as_on_the_page
from tests.publish import marts

SECRET = "s3cr3tw0rd"


@pytest.fixture
def sandbox():
    with RunningSandbox(limits=Limits.none(), secret=SECRET) as running:
        yield running


@pytest.fixture
def publish(tmp_path, monkeypatch, capsys, sandbox, warehouse_with_marts):
    """Runs one command on a warehouse with marts: (exit status, standard output, standard error)."""
    path = Path(shutil.copy(warehouse_with_marts, tmp_path))
    with open_warehouse(path) as connection:
        marts.fill(connection, 6, 12, 6)
    monkeypatch.setenv("SVOD_ENV_FILE", os.devnull)
    monkeypatch.setenv("SVOD_WAREHOUSE", str(path))
    monkeypatch.setenv("SVOD_BITRIX24_WEBHOOK", sandbox.webhook)
    monkeypatch.setenv("SVOD_BITRIX24_RATE", "0")
    monkeypatch.setenv("SVOD_BITRIX24_REQUEST_LIMIT", "0")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["publish", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert SECRET not in printed.out + printed.err
        assert "Traceback" not in printed.err
        return ended.value.code or 0, printed.out, printed.err

    run.path = path
    return run


def journal_of(publish, sql: str, *params) -> list[tuple]:
    """Rows of a statement; what it makes of the marts counts as what the models left."""
    with open_warehouse(publish.path) as connection:
        rows = connection.execute(sql, list(params)).fetchall()
        marts.stamp(connection)
    return rows


def test_push_publishes_and_says_what_it_did(publish, sandbox):
    status, out, _ = publish("push")
    assert status == 0
    assert "created company 6" in out
    with open_warehouse(publish.path) as connection:
        assert marts.differences(connection, sandbox.portal) == []
        steps = connection.execute("select status, rows_out from ops.steps where step = 'publish push'").fetchall()
    assert steps == [("done", 6 + 6 + 4 + 5 + 12 + 14 + 6)]
    assert publish("push")[:2] == (0, "publish push: created nothing; updated nothing; 0 requests\n")


def test_plan_and_status_tell_of_to_dos_for_people(publish, sandbox, monkeypatch):
    monkeypatch.setenv("SVOD_TODOS", "conflicts")
    with open_warehouse(publish.path) as connection:
        marts.add_views(connection)
    publish("push")
    of_card = "select portal, entity, origin_id, 'title', bitrix_id, 'a', 'b', 'c', now()::timestamp"
    journal_of(publish, f"insert into sync.conflicts {of_card} from sync.ledger where entity = 'company' limit 1")
    assert "to-dos for people (SVOD_TODOS): 1 to make, 0 whose reason is over to complete" in publish("plan")[1]
    assert json.loads(publish("plan", "--json")[1])["todos"] == {"to_make": 1, "to_complete": 0}
    assert "created todo 1" in publish("push")[1]
    assert "to-dos made for people" in publish("status", "--details")[1]
    assert "SVOD_TODOS" not in publish("plan")[1]


def test_plan_needs_no_webhook_and_sends_nothing(publish, sandbox, monkeypatch):
    monkeypatch.delenv("SVOD_BITRIX24_WEBHOOK")
    status, out, _ = publish("plan", "--show", "1")
    assert status == 0
    assert "title: (empty) -> ООО" in out
    assert sandbox.portal.request_log() == []


def test_plan_passes_over_wrong_settings_that_it_needs_none_of(publish, monkeypatch):
    for name in ("SVOD_CLOUD_WEBHOOK", "SVOD_BOX_WEBHOOK", "SVOD_BOX_RATE", "SVOD_RETENTION_DAYS", "SVOD_FORGET_KEY"):
        monkeypatch.setenv(name, "s3cret")
    assert publish("plan")[0] == 0
    assert publish("push")[0] == 2
    monkeypatch.setenv("SVOD_FUSE_FLOOR", "many")
    status, _, err = publish("plan")
    assert (status, len(err.splitlines())) == (2, 2) and "SVOD_FUSE_FLOOR" in err


def test_plan_tells_of_deleted_cards_that_retry_asked_for(publish, sandbox):
    publish("push")
    (card,) = [item for item in sandbox.portal.items("company") if item["originId"] == marts.company_id(1)]
    journal_of(
        publish,
        """insert into sync.deletions select portal, entity, origin_id, bitrix_id, now(), false from sync.ledger
           where entity = 'company' and bitrix_id = ?""",
        card["id"],
    )
    assert "nothing to send" in publish("plan")[1]
    assert publish("retry", "--id", marts.company_id(1))[0] == 0
    out = publish("plan")[1]
    assert "1 of these were deleted in the portal and are made again: `publish retry` asked for that" in out
    assert json.loads(publish("plan", "--json")[1])["counts"]["company"] == {"create": 1}


def test_plan_for_machines_shows_old_and_new_values(publish):
    publish("push")
    journal_of(
        publish, "update marts.crm_companies set title = 'ООО Василёк' where company_id = ?", marts.company_id(1)
    )
    plan = json.loads(publish("plan", "--json", "--show", "5")[1])
    assert plan["counts"]["company"] == {"update": 1}
    changes = {change["entity"]: change["fields"] for change in plan["changes"]}
    assert changes["company"] == {"title": ['ООО "Ромашка & Ко" № 1', "ООО Василёк"]}
    assert changes["requisite"] == {"RQ_COMPANY_NAME": ['ООО "Ромашка & Ко" № 1', "ООО Василёк"]}
    assert plan["summary"]["company"]["fields"] == {"title": {"records": 1, "patterns": []}}
    assert plan["change_limit"] == ""


def test_plan_says_what_the_change_looks_like_and_whether_a_push_will_stop(publish, monkeypatch):
    monkeypatch.setenv("SVOD_FUSE_FLOOR", "1")
    publish("push")
    journal_of(publish, "update marts.crm_companies set title = title || '!'")
    out = publish("plan")[1]
    assert "company, 6 published: update 6\n    title 6\n" in out
    assert "the change limit will stop a push: the plan would write 12 parts" in out


def test_push_without_a_webhook_is_a_wrong_setting(publish, monkeypatch):
    monkeypatch.delenv("SVOD_BITRIX24_WEBHOOK")
    status, _, err = publish("push")
    assert status == 2
    assert "SVOD_BITRIX24_WEBHOOK is not set" in err and "hint:" in err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SVOD_BITRIX24_WEBHOOK", f"https://portal.test/{SECRET}"),
        ("SVOD_BITRIX24_RATE", "fast"),
        ("SVOD_FIELD_OWNERS", "company.title:manager"),
        ("SVOD_FIELD_OWNERS", "company.title=nobody"),
        ("SVOD_FIELD_OWNERS", "company.titel=manager"),
        ("SVOD_DEAL_STAGES", "payed=NEW"),
    ],
)
def test_a_malformed_setting_is_named_and_its_value_is_not_shown(publish, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    status, _, err = publish("push")
    assert (status, err.startswith(f"error: {name}")) == (2, True)
    assert value not in err


def test_a_wrong_webhook_is_a_wrong_setting(publish, monkeypatch, sandbox):
    monkeypatch.setenv("SVOD_BITRIX24_WEBHOOK", sandbox.webhook.replace(SECRET, "wrongword"))
    status, _, err = publish("push")
    assert status == 2
    assert "INVALID_CREDENTIALS" in err and "wrongword" not in err


def test_a_portal_that_is_not_there_ends_the_run_with_a_hint(publish, monkeypatch, sandbox):
    monkeypatch.setattr("ingest.bitrix24.patience.MOST", 2)
    sandbox.stop()
    status, _, err = publish("push")
    assert status == 1
    assert "127.0.0.1 cannot be reached" in err


def test_a_stage_that_the_portal_does_not_have_is_a_wrong_setting(publish, monkeypatch):
    monkeypatch.setenv("SVOD_DEAL_STAGES", "paid=NO_SUCH")
    status, _, err = publish("push")
    assert status == 2
    assert "no deal stage NO_SUCH" in err
    assert as_on_the_page("SVOD_DEAL_STAGES: the portal has no deal stage …", err)


@pytest.mark.parametrize(
    ("step", "state", "expected"),
    [
        ("dbt after_registry", "done", 0),
        ("dbt", "done", 0),
        ("dbt selected", "done", 0),
        ("dbt before_registry", "done", 3),
        ("dbt after_registry", "running", 3),
        ("dbt after_registry", "gated", 3),
        ("dbt before_registry", "failed", 1),
        ("dbt selected", "gated", 3),
    ],
)
def test_push_and_gate_look_at_the_last_model_run(publish, sandbox, step, state, expected):
    with open_warehouse(publish.path) as connection:
        marts.model_run(connection, state, step)
    assert publish("gate")[0] == expected
    assert publish("push")[0] == expected
    assert bool(sandbox.portal.request_log()) == (expected == 0)


def test_gate_names_the_test_and_where_its_rows_are(publish):
    with open_warehouse(publish.path) as connection:
        connection.execute("create schema failures; create table failures.inn_is_unique as select 1 as n")
        marts.model_run(connection, "gated")
        connection.execute(
            """update ops.steps set detail = '{"gates": [{"test": "inn_is_unique", "rows": 2}], "broken": []}'
               where status = 'gated'"""
        )
    status, _, err = publish("gate")
    assert status == 3
    assert as_on_the_page("data quality gates did not pass: … (… rows)", err)
    assert "inn_is_unique (2 rows)" in err and "select * from failures.inn_is_unique" in err
    assert (
        "nothing of it may be published now: dbt after_registry: data quality gates did not pass" in publish("plan")[1]
    )
    assert "inn_is_unique (2 rows)" in json.loads(publish("plan", "--json")[1])["gate"]


def test_dead_letters_are_exit_status_4_and_the_step_is_done(publish):
    journal_of(
        publish, "update marts.crm_contacts set emails = ['no address'] where contact_id = ?", marts.contact_id(1)
    )
    status, _, err = publish("push")
    assert status == 4
    assert as_on_the_page("… records are dead-lettered in sync.dead_letters", err)
    assert journal_of(publish, "select status from ops.steps where step = 'publish push'") == [("done",)]
    status, out, _ = publish("status", "--details")
    assert status == 1 and out.startswith("NOT OK: the portal refused 1 record")
    assert "CRM_FIELD_ERROR_VALUE_NOT_VALID" in out
    assert "Петров1" not in out


def test_dead_letters_of_before_are_a_line_and_no_failure(publish):
    refuse_an_email(publish)
    assert publish("push")[0] == 4
    status, out, err = publish("push")
    assert (status, err) == (0, "")
    assert "1 dead letters of before wait for their next try" in out


def test_retry_and_discard_act_by_kind_by_id_or_on_all(publish):
    refuse_an_email(publish)
    publish("push")
    assert publish("retry", "--entity", "contact")[:2] == (
        0,
        "publish retry: 1 dead letters are due, 0 deleted parts will be made again; "
        "`publish push` does it, or the next run\n",
    )
    assert publish("push")[0] == 4
    assert "1 dead letters rest until" in publish("discard", "--id", marts.contact_id(1))[1]
    out = publish("push")[1]
    assert "dead letters of before" not in out
    assert "discarded until the record changes" in publish("status")[1]
    assert publish("retry", "--all")[0] == 0
    assert publish("push")[0] == 4
    for arguments, expected in ((["retry"], 2), (["discard", "--entity", "contacts"], 2), (["retry", "--id", "x"], 1)):
        status, _, err = publish(*arguments)
        assert (status, len(err.strip().splitlines())) == (expected, 2)


def test_what_a_manager_deleted_is_listed_and_made_again_by_its_id(publish, sandbox):
    publish("push")
    (card,) = journal_of(publish, "select bitrix_id from sync.ledger where origin_id = ?", marts.contact_id(1))[0]
    httpx.post(f"{sandbox.webhook}crm.item.delete", json={"entityTypeId": 3, "id": card}).raise_for_status()
    journal_of(publish, "update marts.crm_contacts set post = 'директор'")
    status, out, _ = publish("push")
    assert status == 0 and "1 parts were deleted in the portal" in out
    assert marts.contact_id(1) in publish("status", "--details")[1]
    assert publish("retry", "--all")[0] == 1  # a manager's decision is undone by its name, or when that is asked for
    assert "1 deleted parts will be made again" in publish("retry", "--all", "--deleted")[1]
    assert "created contact 1" in publish("push")[1]


def refuse_an_email(publish) -> None:
    update = "update marts.crm_contacts set emails = ['no address'] where contact_id = ?"
    journal_of(publish, update, marts.contact_id(1))


def test_the_fuse_is_exit_status_3(publish, monkeypatch):
    monkeypatch.setenv("SVOD_FUSE_FLOOR", "1")
    publish("push")
    journal_of(publish, "update marts.crm_companies set title = title || '!'")
    status, _, err = publish("push")
    assert status == 3
    assert "--let-through" in err
    assert as_on_the_page("the plan would write … parts, … are published (…)", err)
    assert "company, 6 published: update 6\n    title 6\n" in err
    assert journal_of(publish, "select status from ops.steps order by started_at desc limit 1") == [("gated",)]
    assert publish("push", "--let-through")[0] == 0


def test_plan_and_status_tell_of_the_portal_published_to_last(publish, sandbox, monkeypatch):
    publish("push")
    monkeypatch.delenv("SVOD_BITRIX24_WEBHOOK")
    assert "nothing to send" in publish("plan")[1]
    out = publish("status")[1]
    assert f"\nportal     {sandbox.webhook.split('/')[2]}, known for " in out


@pytest.fixture
def held(publish):
    """The warehouse as another process holds it: in the middle of a step."""
    holder = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holder, str(publish.path)]

    @contextmanager
    def hold():
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout.readline() == "held\n"
            yield other.pid
            other.stdin.close()

    return hold


def test_a_second_publisher_is_refused(publish, sandbox, held):
    with held() as other:
        status, _, err = publish("push")
    assert status == 1
    assert f"is open in process {other}" in err
    assert sandbox.portal.request_log() == []


def test_status_and_plan_answer_from_the_copy_while_a_step_holds_the_warehouse(publish, held):
    publish("push")
    assert make_snapshot(publish.path)
    copy = snapshot_path(publish.path)
    hour_ago = copy.stat().st_mtime - 3700
    os.utime(copy, (hour_ago, hour_ago))
    with held():
        for command, told in (("status", "company"), ("plan", "nothing to send"), ("plan --json", '"requests": 0')):
            status, out, err = publish(*command.split())
            assert (status, told in out) == (0, True), err
            said = out.replace("…", "is its copy of 1 h 01 min old") if command == "status" else err
            assert "is open in process" in said and "is its copy of" in said and "1 h 01 min old" in said


def test_without_a_copy_status_and_plan_say_so_in_one_line(publish, held):
    with held():
        status, out, err = publish("plan")
        assert (status, out) == (1, "")
        assert as_on_the_page("there is no copy of it yet that could be read", err)
        assert len(err.splitlines()) == 2
        status, out, err = publish("status")
        assert (status, err, len(out.splitlines())) == (1, "", 1)
        assert out.startswith("NOT OK: ") and "there is no copy of it yet" in out


def test_plan_leaves_the_warehouse_as_it_is(publish):
    publish("push")
    journal_of(publish, "update marts.crm_companies set title = title || '!'")
    before = publish.path.read_bytes()
    assert "company" in publish("plan", "--show", "2")[1]
    assert publish.path.read_bytes() == before


def test_plan_begins_with_updates_and_names_cards_with_links(publish, sandbox):
    publish("push")
    with open_warehouse(publish.path) as connection:
        marts.fill(connection, 8, 12, 6)
        connection.execute("update marts.crm_companies set kpp = '1' where company_id = ?", [marts.company_id(2)])
    out = publish("plan", "--show", "9")[1]
    shown = [line for line in out.splitlines() if line.split(" ", 1)[0] in ("update", "create")]
    assert [line.split()[0] for line in shown] == sorted((line.split()[0] for line in shown), reverse=True)
    (card,) = [item["id"] for item in sandbox.portal.items("company") if item["originId"] == marts.company_id(2)]
    name = 'ООО "Ромашка & Ко" № 2'
    root = sandbox.webhook.split("/rest/")[0]
    told = f"update requisite {marts.company_id(2)}  {name} {root}/crm/company/details/{card}/"
    assert told in out, out
    assert f"create company {marts.company_id(7)}  " in out and "№ 7" in out


def test_who_keeps_a_step_waiting_with_a_shell_is_named(publish, monkeypatch):
    reader = "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); print('open', flush=True); input()"
    monkeypatch.setattr(connections, "PATIENCE_WITH_READERS_S", 0.4)
    monkeypatch.setattr(connections, "SAY_AFTER_S", 0.1)
    command = [sys.executable, "-c", reader, str(publish.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        status, _, err = publish("push")
        other.stdin.close()
    owner = Path(publish.path).owner()
    assert status == 1 and f"is open in process {other.pid} (python" in err and f", {owner})" in err
    assert as_on_the_page("which reads it: waiting for it, … s at the most", err)
    assert as_on_the_page("… is open in process …", err)


def test_a_step_waits_for_somebody_who_only_looks(publish):
    looker = """import duckdb, sys, time
c = duckdb.connect(sys.argv[1], read_only=True); print('looks', flush=True); time.sleep(1)"""
    command = [sys.executable, "-c", looker, str(publish.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as looking:
        assert looking.stdout.readline() == "looks\n"
        assert publish("push")[0] == 0


def test_a_source_that_has_failed_for_too_long_is_a_gate(publish, monkeypatch, sandbox):
    journal_of(
        publish,
        """insert into ops.source_reads values
           ('shop_a', 'MySQL', now() at time zone 'UTC', '2026-01-01 10:00', '2026-01-02 03:04', 'MySQL is down'),
           ('shop_b', 'JSON', now() at time zone 'UTC', null, now() at time zone 'UTC', 'there is no file')""",
    )
    for command in ("gate", "push"):
        status, _, err = publish(command)
        assert status == 3
        assert as_on_the_page("… (MySQL) since … UTC: …", err)
        assert "shop_a (MySQL) since 2026-01-02 03:04 UTC: MySQL is down" in err and "shop_b" not in err
        assert "SVOD_SOURCE_MAX_AGE_HOURS=72" in err
    assert sandbox.portal.request_log() == []
    monkeypatch.setenv("SVOD_SOURCE_MAX_AGE_HOURS", "0")
    assert publish("push")[0] == 0


def test_there_is_nothing_to_publish_before_the_models_ran(publish):
    journal_of(publish, "drop schema marts cascade")
    status, _, err = publish("plan")
    assert status == 1
    assert "run the models first" in err


def test_the_sandbox_is_served_until_it_is_stopped(tmp_path):
    command = [str(Path(sys.executable).with_name("publish")), "sandbox", "--state", str(tmp_path / "portal.sqlite")]
    with subprocess.Popen([*command, "--no-limits"], stdout=subprocess.PIPE, text=True) as running:
        webhook = running.stdout.readline().strip()
        assert httpx.get(f"{webhook}crm.item.list?entityTypeId=4").json()["result"] == {"items": []}
        running.terminate()


def test_status_names_the_portal_since_when_it_is_known_and_how_many_pushes_it_has_had(publish, sandbox):
    assert "no push has reached it" in publish("status")[1]
    publish("push")
    out = publish("status")[1]
    assert f"portal     {sandbox.webhook.split('/')[2]}, known for " in out and "1 push that sent" in out
    out = publish("status", "--details")[1]
    assert "known since 20" in out and "marked " in out and "1 pushes that sent, first filled 20" in out


def test_a_portal_that_another_warehouse_publishes_to_is_exit_status_3_and_may_be_taken_over(publish, monkeypatch):
    monkeypatch.setenv("SVOD_MACHINE", "crm-1")
    publish("push")
    journal_of(publish, "update marts.crm_companies set title = title || '!'")
    monkeypatch.setenv("SVOD_MACHINE", "crm-2")
    status, _, err = publish("push")
    assert status == 3
    assert as_on_the_page("on …, last on …", err)
    assert "on crm-1, last on 20" in err and "--take-over" in err
    status, out, _ = publish("push", "--take-over")
    assert (status, "taken over" in out) == (0, True)


def test_every_line_of_a_push_that_asks_something_of_a_person_ends_with_the_next_step():
    _, *lines = sending.lines(Result(conflicts=1, duplicates=1, deletions=1))
    assert len(lines) == 3 and all("`publish status --details` lists them" in line for line in lines)
    for line, step in zip(lines, ("SVOD_FIELD_OWNERS", "join those in the portal", "`publish retry --id"), strict=True):
        assert step in line


def test_status_says_in_the_title_of_a_list_what_a_person_may_do(publish):
    assert "refused (sync.dead_letters): nothing" in publish("status", "--details")[1]
    publish("push")
    journal_of(
        publish,
        """insert into sync.dead_letters
           select portal, 'contact', 'p-1', 'E', 'text', 1, now(), now(), '{}' from sync.portals""",
    )
    told = "refused (sync.dead_letters): tried again at next_at, or with the next push by `publish retry --id`"
    assert told in publish("status", "--details")[1]


def test_a_disk_that_fills_while_a_push_sends_is_named_and_the_next_push_goes_on(publish, sandbox):
    """The file may not grow any more, as where a quota is spent: DuckDB cannot commit what the portal answered."""
    with open_warehouse(publish.path) as connection:
        marts.fill(connection, 300, 900, 300)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, usual[1]))
    try:
        status, _, err = publish("push")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert (status, len(err.splitlines())) == (1, 2)
    assert err.startswith(f"error: the disk is full: {publish.path}") and " MB free there" in err
    assert sandbox.portal.items("company")  # it had begun
    assert publish("push")[0] == 0
    with open_warehouse(publish.path) as connection:
        assert marts.differences(connection, sandbox.portal) == []
