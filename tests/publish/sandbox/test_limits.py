"""The two limits, on a turned clock."""

import pytest

from publish.sandbox import Limits
from tests.publish.sandbox.conftest import command


@pytest.fixture
def limited(run_sandbox, connect):
    def start(limits):
        sandbox = run_sandbox(limits=limits)
        return sandbox, connect(sandbox)

    return start


def test_fifty_requests_fit_in_and_two_a_second_leak_out(limited, clock):
    sandbox, client = limited(Limits.standard())
    assert [client.ask("server.time").status_code for _ in range(52)] == [200] * 50 + [503] * 2
    clock.turn(0.9)
    assert client.error("server.time") == (503, "QUERY_LIMIT_EXCEEDED")
    clock.turn(0.1)
    assert [client.ask("server.time").status_code for _ in range(3)] == [200, 200, 503]
    assert [one["error"] for one in sandbox.portal.refused()] == ["QUERY_LIMIT_EXCEEDED"] * 4
    assert sandbox.portal.calls() == {"server.time": 52}


def test_a_batch_of_50_counts_as_one_request(limited):
    _, client = limited(Limits(burst=2))
    for _ in range(2):
        answer = client.batch({f"k{number}": "server.time" for number in range(50)})
        assert len(answer["result"]) == 50
    assert client.error("server.time") == (503, "QUERY_LIMIT_EXCEEDED")


def test_the_enterprise_plan_takes_250_at_once_and_5_a_second(limited, clock):
    _, client = limited(Limits.enterprise())
    assert [client.ask("server.time").status_code for _ in range(251)].count(200) == 250
    clock.turn(1)
    assert [client.ask("server.time").status_code for _ in range(6)].count(200) == 5


def test_operating_time_adds_up_by_method_and_blocks_only_that_method(limited, clock):
    _, client = limited(Limits(operating_seconds=1, costs={"server.time": 0.4}))
    told = [client.full("server.time")["time"]["operating"] for _ in range(3)]
    assert told == pytest.approx([0.4, 0.8, 1.2])
    assert client.error("server.time") == (429, "OPERATION_TIME_LIMIT")
    assert client.ask("crm.status.list").status_code == 200
    clock.turn(599)
    assert client.error("server.time") == (429, "OPERATION_TIME_LIMIT")
    clock.turn(1)
    assert client.ask("server.time").status_code == 200


def test_at_the_reset_time_the_sum_may_still_be_too_high(limited, clock):
    _, client = limited(Limits(operating_seconds=1, costs={"server.time": 0.6}))
    reset_at = client.full("server.time")["time"]["operating_reset_at"]
    assert reset_at == int(clock.time()) + 600
    clock.turn(60)
    client.result("server.time")
    assert client.full("crm.status.list")["time"]["operating"] > 0
    clock.turn(540)
    # The first basket has gone, the second alone is under the limit.
    assert client.full("server.time")["time"]["operating"] == pytest.approx(1.2)
    assert client.error("server.time") == (429, "OPERATION_TIME_LIMIT")


def test_inside_a_batch_the_operating_limit_is_an_error_of_the_command(limited):
    sandbox, client = limited(Limits(operating_seconds=0.05))
    add = command("crm.item.add", entityTypeId=4, fields={"title": "ООО"})
    answer = client.full("batch", cmd={"a": add, "b": add, "c": add, "d": "server.time"})
    assert set(answer["result"]["result"]) == {"a", "b", "d"}
    assert answer["result"]["result_error"]["c"]["error"] == "OPERATION_TIME_LIMIT"
    assert [(one["error"], one["count"]) for one in sandbox.portal.refused()] == [("OPERATION_TIME_LIMIT", 1)]


def test_an_import_costs_by_the_element(limited):
    _, client = limited(Limits())
    data = [{"title": f"ООО {number}"} for number in range(20)]
    times = client.full("crm.item.batchImport", entityTypeId=4, data=data)["time"]
    assert times["operating"] == pytest.approx(20 * 0.044)


def test_a_self_hosted_portal_has_no_limits(client):
    assert {client.ask("server.time").status_code for _ in range(300)} == {200}
