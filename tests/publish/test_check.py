"""`publish check`: all that is wrong at once, each with what to do; one try at everything; nothing is written."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ingest import check as ingest_check
from ingest.settings import RegistrySettings, read_settings
from ingest.warehouse.connection import open_warehouse
from publish import cli
from publish.bitrix24 import inspection
from publish.sandbox import Limits, RunningSandbox
from tests.publish import marts

SECRET = "s3cr3tw0rd"


@pytest.fixture
def sandbox():
    with RunningSandbox(limits=Limits.none(), secret=SECRET) as running:
        yield running


@pytest.fixture
def check(tmp_path, monkeypatch, capfd, sandbox):
    """Runs `publish check` with the settings given: (exit status, lines by what they are of, all of it)."""
    for name in list(os.environ):
        if name.startswith("SVOD_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SVOD_ENV_FILE", os.devnull)
    monkeypatch.setenv("SVOD_BITRIX24_WEBHOOK", sandbox.webhook)
    monkeypatch.setenv("SVOD_BITRIX24_RATE", "0")

    def run(*arguments: str, **settings: str) -> tuple[int, dict[str, str], str]:
        for name, value in settings.items():
            monkeypatch.setenv(f"SVOD_{name.upper()}", value)
        monkeypatch.setattr(sys, "argv", ["publish", "check", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        assert SECRET not in out + err and "Traceback" not in err
        told = [line.split(None, 1) for line in out.splitlines() if line and not line.startswith(" ")]
        return ended.value.code or 0, {rest[:18].strip(): f"{state} {rest[19:]}" for state, rest in told}, out + err

    return run


def test_everything_is_tried_once_and_nothing_is_written(check, tmp_path, sandbox):
    (tmp_path / "h.json").write_text('{"companies": []}')
    with open_warehouse(tmp_path / "svod.duckdb") as connection:
        marts.prepare(connection)
        marts.fill(connection, 3, 3, 3)
    status, told, out = check(warehouse=str(tmp_path / "svod.duckdb"), shop_b_files="*.json")
    assert status == 0, out
    assert told["settings"] == "ok 4 are set, without /dev/null"
    assert told["shop_a MySQL"] == "skipped SVOD_SHOP_A_URL is not set"
    assert told["shop_b JSON"].startswith("ok 1 file, 0.0 MB, the newest ")
    assert told["registry"].startswith("skipped SVOD_REGISTRY_TOKEN is not set")
    assert told["portal"].startswith("ok 127.0.0.1:") and "is an administrator" in told["portal"]
    assert told["fields"] == "ok the first push makes 7 of 7"
    assert told["deal currencyId"] == "ok RUB there" and "paid is PREPARATION" in told["deal stageId"]
    assert told["messages"].startswith("skipped SVOD_NOTIFY_URL is not set")
    methods = {method.split(".")[-1] for method in sandbox.portal.calls()}
    assert methods <= {"scope", "profile", "get", "list"}, methods


def test_check_says_what_a_run_will_end_with(check, monkeypatch):
    """A run without a webhook ends with 2, and so does one without a source."""
    monkeypatch.delenv("SVOD_BITRIX24_WEBHOOK")
    status, told, _ = check()
    assert status == 2 and told["portal"].startswith("wrong SVOD_BITRIX24_WEBHOOK is not set")
    assert told["sources"].startswith("wrong no source is set")
    assert "sources" not in check(shop_b_files="*.json")[1]


def test_all_wrong_settings_are_told_at_once_each_with_what_to_do(check):
    status, _, out = check(
        fuse_shar="1", registry_rate="0", field_owners="company.titel=manager", mart_change_limit="much",
        shop_b_kafka="nowhere", fuse_share="20", since="2999-01-01",
    )  # fmt: skip
    lines = out.splitlines()
    assert status == 2 and len(lines) == 14
    for name, hint in {
        "SVOD_FUSE_SHAR, set in the environment, is no setting": "did you mean SVOD_FUSE_SHARE?",
        "SVOD_REGISTRY_RATE": "expected: requests per second, more than 0",
        "SVOD_MART_CHANGE_LIMIT has to be a number": "for example 0.2; see .env.example",
        "SVOD_SHOP_B_KAFKA": "host:port",
        "SVOD_FIELD_OWNERS: company has no field titel": "did you mean title?",
        "SVOD_FUSE_SHARE has to be less than or equal to 1": "for example 0.2",
        "SVOD_SINCE": "not in the future",
    }.items():
        (at,) = [number for number, line in enumerate(lines) if name in line]
        assert lines[at].startswith("wrong ") and hint in lines[at + 1]


def test_a_pipeline_that_is_not_there_is_told_with_those_that_are_and_whether_to_dos_can_be_made(check):
    status, told, out = check(shop_b_files="*.json", deal_pipeline="77", todos="conflicts")
    assert status == 2 and told["deal stageId"].startswith("wrong SVOD_DEAL_PIPELINE: the portal shows no deal"), out
    assert told["to-dos"] == "ok conflicts: at most 100 a day"
    assert "to do: there are 0 (Общая); the number is in the address" in out


def test_each_source_that_fails_is_a_line_and_keeps_no_other_from_being_tried(check, tmp_path, sandbox):
    status, told, out = check(
        shop_a_url=f"mysql://u:{SECRET}@127.0.0.1:1/d", shop_b_files="nowhere/*.json",
        registry_url="http://127.0.0.1:1", registry_token=SECRET, deal_stages="paid=NOWHERE", readers_group="no-such",
        responsible="1,999", inn_field="UF_CRM_NOPE",
    )  # fmt: skip
    assert status == 2  # a stage of the settings that the portal has not
    for what, why in {
        "warehouse": "there is no group no-such",
        "shop_a MySQL": "MySQL u@127.0.0.1:1/d: ",
        "shop_b JSON": "there is no file nowhere/*.json",
        "registry": "http://127.0.0.1:1 does not answer: Connect",
        "responsible": "SVOD_RESPONSIBLE: the portal has no active user 999",
        "deal stageId": "SVOD_DEAL_STAGES: the portal has no deal stage NOWHERE",
        "INN field": "SVOD_INN_FIELD: companies of the portal have no custom field UF_CRM_NOPE",
    }.items():
        assert told[what].startswith(f"wrong {why}"), out
    assert out.count(" to do: ") == 7 and told["portal"].startswith("ok ")


def test_a_webhook_that_is_wrong_or_may_too_little_is_told(check, sandbox, monkeypatch):
    Path("h.json").write_text("{}")
    monkeypatch.setenv("SVOD_SHOP_B_FILES", "*.json")
    sandbox.portal.set_rights(1, is_admin=False)
    status, told, out = check()
    assert status == 1 and told["fields"].startswith("wrong 7 custom fields are missing") and "note: the portal" in out
    status, told, _ = check(bitrix24_webhook=sandbox.webhook.replace(SECRET, "another"))
    assert status == 2 and told["portal"].startswith("wrong the portal refuses: ")
    monkeypatch.setattr(inspection, "PATIENCE_S", 1.0)
    status, told, _ = check(bitrix24_webhook="http://127.0.0.1:1/rest/1/s3cret/")
    assert status == 1 and "cannot be reached" in told["portal"]


def test_a_mysql_server_is_asked_for_the_tables_and_columns_that_land(mariadb, database, monkeypatch):
    monkeypatch.setenv("SVOD_ENV_FILE", os.devnull)
    monkeypatch.setenv("SVOD_SHOP_A_URL", mariadb.url(database))
    monkeypatch.setenv("SVOD_SHOP_A_TABLES", "clients")

    def told() -> str:
        (finding,) = [each for each in ingest_check.findings(read_settings()) if each.what == "shop_a MySQL"]
        return f"{finding.state} {finding.told} ({finding.hint})"

    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        assert "shows no table clients to this account (check SVOD_SHOP_A_TABLES" in told()
        cursor.execute("create table clients (id int primary key)")
        assert "clients has no column updated_at (check SVOD_SHOP_A_CHANGED_COLUMN)" in told()
        cursor.execute("alter table clients add column updated_at datetime")
        assert told().startswith("ok ") and "logs in; clients there" in told()


def test_the_registry_is_asked_once_whether_the_key_is_right_and_what_is_left_of_today():
    asked = []

    class Service(BaseHTTPRequestHandler):
        def do_POST(self):
            self._answer({"suggestions": []}, self.headers["Authorization"] == f"Token {SECRET}")

        def do_GET(self):
            self._answer({"remaining": {"suggestions": 9876}}, self.headers["X-Secret"] == SECRET)

        def _answer(self, body, may):
            asked.append(self.path)
            self.send_response(200 if may else 401)
            self.end_headers()
            self.wfile.write(json.dumps(body if may else {}).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    def told(**keys: str) -> str:
        (finding,) = ingest_check._registry(RegistrySettings(_env_file=None, url=url, **keys))
        assert SECRET not in str(finding)
        return f"{finding.state} {finding.told} {finding.hint}"

    try:
        assert "answers; what is left of today's quota is told with SVOD_REGISTRY_SECRET" in told(token=SECRET)
        assert told(token="another").startswith("wrong ") and "SVOD_REGISTRY_TOKEN" in told(token="another")
        assert "9,876 requests left today" in told(token=SECRET, secret=SECRET)
        assert "is SVOD_REGISTRY_SECRET right?" in told(token=SECRET, secret="another")
    finally:
        server.shutdown()
        server.server_close()
    assert len(asked) == 7
