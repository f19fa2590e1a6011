"""What the operator sees: skipped sources, wrong settings and failures, in one line, with the right exit status."""

import json
import re
import subprocess
import sys

import pytest

from ingest.cli import main
from ingest.settings import RegistrySettings, Settings, read_settings
from ingest.sources import KafkaLogin, MySQLSource
from ingest.warehouse.connection import open_warehouse
from ingest.warehouse.snapshot import snapshot_path
from tests.ingest.conftest import Ingest


def test_sources_that_are_not_set_are_skipped_and_the_run_says_so(ingest: Ingest):
    for command, variable in {
        "mysql": "SVOD_SHOP_A_URL",
        "json": "SVOD_SHOP_B_FILES",
        "kafka": "SVOD_SHOP_B_KAFKA",
        "registry": "SVOD_REGISTRY_TOKEN",
    }.items():
        finished = ingest.run(command)
        assert (finished.returncode, finished.stderr) == (0, "")
        assert f"{variable} is not set" in finished.stdout
    assert ingest.query("select distinct status, detail ->> '$.skipped' is not null from ops.steps") == [("done", True)]


@pytest.mark.parametrize(
    ("command", "setting", "value", "hint"),
    [
        ("mysql", "shop_a_url", "postgres://root:s3cret@host/db", "mysql://user:password@host:3306/database"),
        ("mysql", "shop_a_url", "mysql://root:s3cret@host", "mysql://user:password@host:3306/database"),
        ("mysql", "shop_a_url", "mysql://root:s3cret@host:port/db", "mysql://user:password@host:3306/database"),
        ("mysql", "shop_a_charsets", "clients", "table=cp1251"),
        ("mysql", "shop_a_tables", "clients; drop table x", ":whole"),
        ("mysql", "since", "last year", "2025-01-01"),
        ("kafka", "shop_b_kafka", "s3cret", "host:port"),
        ("kafka", "kafka_security_protocol", "s3cret", "SASL_SSL"),
        ("registry", "registry_rate", "0", "more than 0"),
        ("registry", "registry_url", "dadata.ru", "https://host"),
        ("registry", "registry_token", "s3cret ключ", "the key as its owner's page shows it"),
        ("registry", "registry_token", "s3cret\ns3cret", "without line ends"),
        ("mysql", "shop_a_url", "mysql://root:s3cret\x01@host/db", "without line ends"),
        ("kafka", "kafka_password", "s3cret\udcef", "without line ends"),
        ("json", "shop_b_array", "companies", ".item"),
    ],
)
def test_a_wrong_setting_is_named_with_the_form_expected_and_never_shown(
    tmp_path, monkeypatch, capsys, command, setting, value, hint
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"SVOD_{setting.upper()}", value)
    monkeypatch.setattr("sys.argv", ["ingest", command])
    with pytest.raises(SystemExit) as ended:
        main()
    output, errors = capsys.readouterr()
    assert ended.value.code == 2
    assert f"SVOD_{setting.upper()}" in errors and hint in errors
    assert "s3cret" not in errors + output
    assert len(errors.strip().splitlines()) == 2


@pytest.mark.parametrize(
    ("wanted", "in_a_file", "through_a_pipe"), [("", True, False), ("true", True, True), ("0", False, False)]
)
def test_lines_in_a_file_tell_when_and_which_run_it_was(ingest: Ingest, wanted, in_a_file, through_a_pipe):
    ingest.set(shop_b_files="nowhere/*.json", log_times=wanted)
    with (ingest.folder / "svod.log").open("w+") as file:
        ended = subprocess.run(
            [sys.executable, "-m", "ingest.cli", "json"], cwd=ingest.folder, env=ingest.environment, stdout=file,
            stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
        file.seek(0)
        said = (file.read().splitlines(), in_a_file), (ended.stderr.splitlines(), through_a_pipe)
    ((run_id,),) = ingest.query("select run_id from ops.steps")
    begin = rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ {re.escape(run_id)} "
    for lines, is_told in said:
        assert lines and [re.match(begin, line) is not None for line in lines] == [is_told] * len(lines)
    assert [re.sub(begin, "", line).split()[0] for line in ended.stderr.splitlines()] == ["error:", "hint:"]


@pytest.mark.parametrize(
    ("command", "settings", "problem"),
    [
        ("mysql", {"shop_a_url": "mysql://root:s3cret@127.0.0.1:1/db"}, "MySQL root@127.0.0.1:1/db"),
        ("json", {"shop_b_files": "nowhere/*.json"}, "there is no file nowhere/*.json"),
        ("registry", {"registry_file": "nowhere.csv"}, "there is no verdict file nowhere.csv"),
        ("registry", {"registry_token": "s3cret"}, "int_companies__registry_queue"),
    ],
)
def test_a_failure_is_one_line_and_a_hint_and_is_journalled(ingest: Ingest, command, settings, problem):
    ingest.set(**settings)
    finished = ingest.run(command)
    assert finished.returncode == 1
    lines = finished.stderr.strip().splitlines()
    assert len(lines) == 2 and problem in lines[0] and lines[1].startswith("hint: ")
    assert "s3cret" not in finished.stderr + finished.stdout
    ((status, error),) = ingest.query("select status, detail ->> '$.error' from ops.steps")
    assert status == "failed" and problem in error and "s3cret" not in error


def test_settings_come_from_a_file_and_the_environment_wins(ingest: Ingest):
    (ingest.folder / ".env").write_text("SVOD_SHOP_B_FILES=from-file.json\nSVOD_FUSE_SHARE=1\n")
    assert "there is no file from-file.json" in ingest.run("json").stderr
    ingest.set(shop_b_files="from-environment.json")
    assert "there is no file from-environment.json" in ingest.run("json").stderr


def test_no_secret_shows_in_a_repr():
    source = MySQLSource("shop_a", _env_file=None, url="mysql://u:s3cret@h/d")
    login, registry = KafkaLogin(_env_file=None, password="s3cret"), RegistrySettings(_env_file=None, token="s3cret")
    settings = Settings(read_settings().general, registry, login, (source,), read_settings().transfer)
    for told in (settings, source, source.address, login, registry):
        assert "s3cret" not in repr(told) + str(told)


def test_status_tells_what_ran_how_far_and_what_was_refused(ingest: Ingest):
    (ingest.folder / "a.json").write_text(json.dumps({"companies": [{"uid": "b-1"}, 7]}))
    ingest.set(shop_b_files="a.json")
    ingest.run("json")
    shown = ingest.run("status")
    assert shown.returncode == 0, shown.stderr
    for text in ("ingest json", "done", "a.json", "2 objects", "not an object"):
        assert text in shown.stdout


def test_status_names_what_stopped_a_step_of_the_models(ingest: Ingest):
    with open_warehouse(ingest.warehouse) as connection:
        for step, status, detail in (
            ("dbt before_registry", "failed", {"broken": ["int_a", "int_b"], "gates": []}),
            ("dbt after_registry", "gated", {"broken": [], "gates": [{"test": "inn_is_unique", "rows": 2}]}),
            ("dbt", "done", {"broken": [], "gates": []}),
        ):
            connection.execute(
                "insert into ops.steps (run_id, step, started_at, status, detail) values ('r', ?, now(), ?, ?)",
                [step, status, json.dumps(detail)],
            )
    told = ingest.run("status").stdout
    assert "broken: int_a, int_b" in told and "see `publish gate`: inn_is_unique" in told


def test_status_without_a_warehouse_says_what_to_do(ingest: Ingest):
    finished = ingest.run("status")
    assert finished.returncode == 1 and "make full" in finished.stderr


def test_status_answers_from_the_copy_while_a_step_holds_the_warehouse(ingest: Ingest, warehouse):
    """The fixture `warehouse` holds the very file that `ingest` is told of."""
    finished = ingest.run("status")
    assert finished.returncode == 1 and "there is no copy of it yet" in finished.stderr
    warehouse.close()
    assert ingest.run("copy").returncode == 0
    with open_warehouse(ingest.warehouse):
        finished = ingest.run("status")
    assert finished.returncode == 0 and "Last run of each step" in finished.stdout
    assert "this is its copy of" in finished.stderr and " s old" in finished.stderr


def test_the_copy_is_left_as_it_is_while_a_step_writes(ingest: Ingest, warehouse):
    finished = ingest.run("copy")
    assert finished.returncode == 0 and "the copy stays as it is" in finished.stderr
    assert not snapshot_path(ingest.warehouse).exists()


def test_an_unknown_command_is_a_wrong_argument(ingest: Ingest):
    assert ingest.run("oracle").returncode == 2


def test_a_warehouse_another_process_holds_is_one_line(ingest: Ingest, warehouse):
    finished = ingest.run("json")
    assert finished.returncode == 1
    assert "is open in process" in finished.stderr and "Traceback" not in finished.stderr


def test_what_people_did_is_kept_with_its_times_and_a_step_that_is_not_on_the_checklist_is_said_to_be(ingest: Ingest):
    times = ("--started", "2025-11-30 14:00", "--finished", "2025-11-30 18:30")
    ended = ingest.run("journal", "add", "restore", *times, "--note", "two disks")
    assert (ended.returncode, "4:30:00" in ended.stdout) == (0, True), ended.stderr
    assert "did you mean robots-off?" in ingest.run("journal", "add", "robots-of").stderr
    ((step, seconds, note),) = ingest.query(
        "select step, epoch(finished_at - started_at), note from transfer.journal where step = 'restore'"
    )
    assert (step, seconds, note) == ("restore", 4.5 * 3600, "two disks")
    listed = ingest.run("journal", "list").stdout
    assert "two disks" in listed and "robots-of" in listed
    for began, ended_at in (
        ("2025-11-30 14:00", "2025-11-30 13:00"),
        ("0001-01-01 00:00", "2025-01-01 00:00"),
        ("1970-01-01 00:00", "2025-01-01 00:00"),
        ("2025-01-01 00:00", "2999-01-01 00:00"),
    ):
        ended = ingest.run("journal", "add", "look", "--started", began, "--finished", ended_at)
        assert (ended.returncode, "Traceback" in ended.stderr) == (2, False), ended.stderr
    assert ingest.run("journal", "remove", "robots-of").returncode == 0
    assert ingest.run("journal", "remove", "robots-of").returncode == 2
