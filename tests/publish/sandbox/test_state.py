"""What outlives the process: a killed portal has kept every answer it gave, and whole commands only."""

import os
import signal
import subprocess
import sys

import httpx

from publish.sandbox import Portal
from tests.publish.sandbox.conftest import Client, command

SERVE = "from publish.sandbox import serve, Limits; import sys; " + (
    "serve(sys.argv[1], limits=Limits.none(), on_ready=lambda webhook: print(webhook, flush=True))"
)


def start(state):
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(state)], stdout=subprocess.PIPE, text=True)
    return process, Client(process.stdout.readline().strip())


def test_a_killed_portal_has_kept_what_it_answered(tmp_path):
    state = tmp_path / "portal.sqlite"
    answered = 0
    for _ in range(2):
        process, client = start(state)
        for _ in range(20):
            add = {f"k{n}": command("crm.item.add", entityTypeId=4, fields={"title": "ООО"}) for n in range(20)}
            answered += len(client.batch(add)["result"])
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        client.http.close()
    portal = Portal.of(state)
    assert portal.counts()["company"] == answered == 800
    assert portal.writes() == {"crm.item.add": 800}
    portal.close()


def test_runs_follow_each_other_in_one_file(run_sandbox, connect, tmp_path):
    state = tmp_path / "portal.sqlite"
    first = run_sandbox(state)
    connect(first).result("crm.company.userfield.add", fields={"FIELD_NAME": "SVOD", "USER_TYPE_ID": "string"})
    connect(first).add(4, title="ООО", ufCrmSvod="x")
    first.stop()
    second = run_sandbox(state)
    client = connect(second)
    assert client.get(4, 1)["ufCrmSvod"] == "x"
    assert client.add(4, title="Вторая")["id"] == 2
    assert len(client.result("crm.requisite.preset.list")) == 3


def test_the_log_tells_commands_from_requests_and_writes_from_reads(client, sandbox):
    add = command("crm.item.add", entityTypeId=4, fields={"title": "ООО"})
    client.batch({"a": add, "b": add, "c": "crm.company.list", "bad": "crm.item.get?entityTypeId=4&id=9"})
    client.list(4)
    assert [line["method"] for line in sandbox.portal.request_log()] == ["batch", "crm.item.list"]
    assert sandbox.portal.calls() == {"crm.item.add": 2, "crm.company.list": 1, "crm.item.get": 1, "crm.item.list": 1}
    assert sandbox.portal.writes() == {"crm.item.add": 2}
    assert sandbox.portal.request_log()[0]["errors"] == {"NOT_FOUND": 1}
    sandbox.portal.clear_log()
    assert sandbox.portal.stats()["requests"] == 0


def test_a_stopped_portal_answers_no_more(run_sandbox, connect):
    sandbox = run_sandbox()
    client = connect(sandbox)
    client.result("server.time")
    sandbox.stop()
    try:
        client.ask("server.time")
    except httpx.TransportError:
        return
    raise AssertionError("a stopped portal answered")
