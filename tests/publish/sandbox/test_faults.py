"""Faults: what a client sees, and what was executed all the same."""

import time

import httpx
import pytest

from publish.sandbox import Faults
from tests.publish.sandbox.conftest import command

ADD = {"entityTypeId": 4, "fields": {"title": "ООО Ромашка"}}


def companies(sandbox):
    return sandbox.portal.counts()["company"]


@pytest.mark.parametrize(("kind", "executed"), [("refuse", 0), ("lose_answer", 1), ("half_body", 1)])
def test_a_broken_connection_is_broken_on_the_socket(client, sandbox, kind, executed):
    sandbox.faults.script(kind)
    with pytest.raises(httpx.RemoteProtocolError):
        client.ask("crm.item.add", **ADD)
    assert companies(sandbox) == executed
    assert client.ask("crm.item.add", **ADD).status_code == 200


@pytest.mark.parametrize(
    ("kind", "status", "code", "executed"),
    [
        ("error_500", 500, "INTERNAL_SERVER_ERROR", 0),
        ("query_limit", 503, "QUERY_LIMIT_EXCEEDED", 0),
        ("overload", 503, "OVERLOAD_LIMIT", 0),
        ("operation_limit", 429, "OPERATION_TIME_LIMIT", 0),
        ("bad_gateway", 502, None, 1),
        ("gateway_timeout", 504, None, 1),
    ],
)
def test_an_error_answer_says_what_it_says(client, sandbox, kind, status, code, executed):
    sandbox.faults.script(kind)
    answer = client.ask("crm.item.add", **ADD)
    assert answer.status_code == status
    if code is None:
        assert answer.headers["content-type"].startswith("text/html")
    else:
        assert answer.json()["error"] == code
    assert companies(sandbox) == executed


def test_an_operation_limit_inside_a_batch_blocks_one_of_its_methods(client, sandbox):
    sandbox.faults.script("operation_limit")
    answer = client.batch({"a": command("crm.item.add", **ADD), "b": command("crm.item.add", **ADD)})
    assert {error["error"] for error in answer["result_error"].values()} == {"OPERATION_TIME_LIMIT"}
    assert len(answer["result_error"]) == 2 and companies(sandbox) == 0


def test_a_cut_batch_has_executed_some_of_its_commands(run_sandbox, connect):
    sandbox = run_sandbox(faults=Faults(seed=7))
    client = connect(sandbox)
    done = []
    for _ in range(5):
        before = companies(sandbox)
        sandbox.faults.script("cut")
        with pytest.raises(httpx.RemoteProtocolError):
            client.batch({f"k{number}": command("crm.item.add", **ADD) for number in range(10)})
        done.append(companies(sandbox) - before)
    assert all(0 <= number <= 10 for number in done) and len(set(done)) > 1


def test_a_slow_answer_comes_after_its_time(run_sandbox, connect):
    sandbox = run_sandbox(faults=Faults(delay=0.4))
    client = connect(sandbox)
    sandbox.faults.script("slow", "slow")
    started = time.monotonic()
    assert client.ask("crm.item.add", **ADD).status_code == 200
    assert time.monotonic() - started >= 0.4
    client.http.timeout = 0.1
    with pytest.raises(httpx.ReadTimeout):
        client.ask("crm.item.add", **ADD)
    assert companies(sandbox) == 2


def test_a_scripted_error_strikes_the_named_method_as_often_as_said(client, sandbox):
    sandbox.faults.fail("crm.item.add", "ACCESS_DENIED", "Access denied.", status=403, times=2)
    assert client.error("crm.item.add", **ADD) == (403, "ACCESS_DENIED")
    answer = client.batch({"a": command("crm.item.add", **ADD), "b": command("crm.item.add", **ADD)})
    assert answer["result_error"]["a"]["error"] == "ACCESS_DENIED" and "b" in answer["result"]


def test_faults_by_chance_come_at_their_rate_and_repeat_with_their_seed(run_sandbox, connect):
    def statuses():
        sandbox = run_sandbox(faults=Faults(rate=0.2, kinds={"error_500"}, seed=3))
        client = connect(sandbox)
        return [client.ask("server.time").status_code for _ in range(200)]

    first = statuses()
    assert 20 <= first.count(500) <= 60
    assert statuses() == first


def test_faults_are_switched_over_http(client, sandbox):
    root = httpx.URL(sandbox.webhook).copy_with(path="/_sandbox/faults")
    assert httpx.post(root, json={"next": ["error_500", None], "rate": 0}).json() == {"ok": True}
    assert client.ask("server.time").status_code == 500
    assert httpx.post(root, json={"errors": [{"method": "*", "error": "expired_token", "status": 401}]}).json()["ok"]
    assert client.error("server.time") == (401, "expired_token")
    assert httpx.post(root, json={"next": ["earthquake"]}).status_code == 400
    stats = httpx.get(root.copy_with(path="/_sandbox/stats")).json()
    assert stats["requests"] == 2 and stats["faults"] == {"error_500": 1}


def test_in_process_a_dropped_connection_is_a_transport_error(run_sandbox):
    import asyncio

    from publish.sandbox import create_app

    app = create_app()
    app.state.engine.faults.script("refuse", "lose_answer", "half_body")

    async def scenario():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://portal/rest/1/sandbox/") as client:
            for _ in range(3):
                with pytest.raises(httpx.TransportError):
                    await client.post("crm.item.add", json=ADD)

    asyncio.run(scenario())
    assert app.state.portal.counts()["company"] == 2
    app.state.portal.close()
