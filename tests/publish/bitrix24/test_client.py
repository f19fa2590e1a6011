"""The client: what it sends, what it gives up on, and what it never shows."""

import asyncio
import json

import httpx
import pytest
from pydantic import SecretStr

from ingest.bitrix24.client import Client, Command
from ingest.bitrix24.errors import PortalRefused, PortalUnavailable
from ingest.bitrix24.pacing import Pace
from ingest.bitrix24.parameters import query
from publish.sandbox import Limits
from tests.publish import marts


def test_a_portal_blocked_by_hand_stops_the_run_although_its_status_is_that_of_the_request_limit(office):
    marts.fill(office.connection, 2, 0)
    office.faults.script("overload")
    with pytest.raises(PortalRefused, match="OVERLOAD_LIMIT"):
        office.push()


def test_a_portal_that_stays_away_ends_the_run_with_a_hint(office):
    marts.fill(office.connection, 2, 0)
    office.faults.script(*["bad_gateway"] * 40)
    with pytest.raises(PortalUnavailable, match=r"portal\.test .* times in a row") as stopped:
        office.push()
    assert "run the same command again" in stopped.value.hint


@pytest.mark.parametrize(
    "answer",
    [{"result": None}, {"result": {}}, {"result": []}, {"result": {"result": [], "result_error": []}}],
    ids=str,
)
def test_answers_that_say_nothing_of_our_commands_end_the_run(office, answer):
    client, requests = client_of(office, answer)
    with pytest.raises(PortalUnavailable, match="without a word of what we asked, 9 times") as stopped:
        office.clock.run(client.read([Command("profile", {})]))
    assert len(requests) == 9
    assert stopped.value.hint


@pytest.mark.parametrize(
    "error", [None, {"error": "INTERNAL_SERVER_ERROR", "error_description": "Internal server error"}]
)
def test_one_reading_command_that_is_never_answered_ends_the_run_although_others_are(office, error):
    def answer(request: httpx.Request) -> dict:
        commands = json.loads(request.content)["cmd"]
        results = {name: 1 for name, command in commands.items() if not command.startswith("user.get")}
        errors = dict.fromkeys(commands.keys() - results, error)
        return {"result": {"result": results, "result_error": errors if error else []}}

    client, requests = client_of(office, answer)

    async def work() -> None:
        async def answered() -> None:
            while True:
                await client.read([Command("profile", {})])
                await office.clock.sleep(0.1)

        async with asyncio.timeout(3600):
            others = asyncio.create_task(answered())
            try:
                await client.read([Command("profile", {}), Command("user.get", {})])
            finally:
                others.cancel()

    started = office.clock.time()
    with pytest.raises(PortalUnavailable, match=r"user\.get, 9 times in a row"):
        office.clock.run(work())
    assert office.clock.time() - started < 600
    assert requests


def client_of(office, answer) -> tuple[Client, list[httpx.Request]]:
    """A client of a portal that answers every request with this, and the requests that came."""
    requests = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        assert len(requests) < 50_000, "the client asks for ever"
        return httpx.Response(200, json=answer(request) if callable(answer) else answer)

    webhook = SecretStr("https://portal.test/rest/1/topsecret/")
    return Client(webhook, Pace(0, 50, 0, office.clock), transport=httpx.MockTransport(handle)), requests


def test_the_secret_is_in_no_representation_and_no_error(open_office):
    office = open_office()
    webhook = SecretStr("http://portal.test/rest/1/topsecret/")
    client = Client(webhook, Pace(0, 50, 0, office.clock), transport=httpx.ASGITransport(office.app))
    with pytest.raises(PortalRefused) as refused:
        office.clock.run(client.read([Command("profile", {})]))
    assert refused.value.exit_status == 2
    assert "topsecret" not in repr(client) + repr(office.settings) + repr(refused.value) + refused.value.hint


@pytest.mark.parametrize(
    "written", ["/rest/1/topsecret/batch", "%2Frest%2F1%2Ftopsecret%2Fbatch", "the token topsecret"]
)
@pytest.mark.parametrize("where", ["request", "command"])
def test_an_error_that_repeats_the_address_it_was_asked_for_is_told_without_the_secret(office, written, where):
    error = {"error": "404", "error_description": f"no Route matched with {written}"}
    answer = error if where == "request" else {"result": {"result": [], "result_error": {"c0": error}}}
    client, _ = client_of(office, answer)
    with pytest.raises(PortalRefused, match="no Route matched with") as refused:
        office.clock.run(client.read([Command("profile", {})]))
    assert "topsecret" not in refused.value.problem + refused.value.hint


def test_parameters_are_encoded_as_php_reads_them():
    params = {"fields": {"title": "ООО «Р&К» +1 #2", "PHONE": [{"VALUE": "+7"}], "post": None, "UF": []}}
    assert query(params) == (
        "fields[title]=%D0%9E%D0%9E%D0%9E+%C2%AB%D0%A0%26%D0%9A%C2%BB+%2B1+%232"
        "&fields[PHONE][0][VALUE]=%2B7&fields[post]=&fields[UF]="
    )


def test_a_limit_of_one_method_that_never_passes_ends_the_run_with_the_method_named_and_keeps_what_was_done(
    open_office,
):
    office = open_office(Limits.standard())
    marts.fill(office.connection, 30, 30)
    said = "Method is blocked due to operation time limit."
    office.faults.fail("crm.requisite.add", "OPERATION_TIME_LIMIT", said, times=10**6)
    started = office.clock.time()
    with pytest.raises(PortalUnavailable, match=r"refused crm\.requisite\.add for its operating time") as stopped:
        office.push()
    assert 600 < office.clock.time() - started < 1800
    assert stopped.value.exit_status == 1 and "run the same command again" in stopped.value.hint
    assert office.portal.counts()["company"] == len(office.ids("company")) == 30
    office.faults.errors.clear()
    office.push()
    assert office.differences() == []


@pytest.mark.parametrize("code", ["OPERATION_TIME_LIMIT", "QUERY_LIMIT_EXCEEDED"])
def test_a_reading_command_that_is_refused_for_a_limit_for_ever_ends_the_run(office, code):
    client, _ = client_of(office, {"result": {"result": [], "result_error": {"c0": {"error": code}}}})
    started = office.clock.time()
    with pytest.raises(PortalUnavailable, match=r"has refused user\.get for"):
        office.clock.run(client.read([Command("user.get", {})]))
    assert office.clock.time() - started < 1800


def test_a_limit_that_passes_after_a_while_ends_nothing(office):
    began = office.clock.time()

    def answer(request: httpx.Request) -> dict:
        if office.clock.time() < began + 1100:
            return {"result": {"result": [], "result_error": {"c0": {"error": "OPERATION_TIME_LIMIT"}}}}
        return {"result": {"result": {"c0": 1}}}

    client, _ = client_of(office, answer)
    assert office.clock.run(client.read([Command("user.get", {})])) == [1]


def test_each_pause_before_a_portal_that_cannot_be_reached_says_what_is_tried_when(office):
    def handle(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    said = []
    pace = Pace(0, 50, 0, office.clock, on_pause=lambda text: said.append((office.clock.time() - began, text)))
    webhook = SecretStr("https://portal.test/rest/1/topsecret/")
    client = Client(webhook, pace, variable="SVOD_BOX_WEBHOOK", transport=httpx.MockTransport(handle))
    began = office.clock.time()
    with pytest.raises(PortalUnavailable) as stopped:
        office.clock.run(client.read([Command("profile", {})]))
    assert len(said) == 8 and said[0][0] < 5
    assert said[4][1] == "portal.test cannot be reached (ConnectError): trying again in 8 s (5 of 9)"
    assert "SVOD_BOX_WEBHOOK" in stopped.value.hint
    assert pace.of("profile").total(office.clock.time()) == 0


def test_a_portal_that_lets_one_wait_for_its_answer_is_said_to(office):
    async def handle(request: httpx.Request) -> httpx.Response:
        await office.clock.sleep(40)
        return httpx.Response(200, json={"result": {"result": {"c0": 1}}})

    said = []
    pace = Pace(0, 50, 0, office.clock, on_wait=lambda what, until: said.append((what, until)))
    webhook = SecretStr("https://portal.test/rest/1/topsecret/")
    client = Client(webhook, pace, transport=httpx.MockTransport(handle))
    began = office.clock.time()
    assert office.clock.run(client.read([Command("profile", {})])) == [1]
    assert said == [("an answer of portal.test", began + 75)]


class TestRedirects:
    """A portal that answers from elsewhere is followed where that is safe, and explained where it is not."""

    def client(self, office, location: str, status: int = 302) -> tuple[Client, list[httpx.Request]]:
        requests = []

        def answer(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            if request.url.host == "old.test":
                return httpx.Response(status, headers={"Location": location} if location else {})
            return httpx.Response(200, json={"result": {"result": {"c0": 1}}})

        transport = httpx.MockTransport(answer)
        webhook = SecretStr("https://old.test/rest/1/topsecret/")
        return Client(webhook, Pace(0, 50, 0, office.clock), transport=transport), requests

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_portal_that_moved_with_its_webhook_is_followed_with_the_same_request(self, office, status):
        client, requests = self.client(office, "https://new.test/rest/1/topsecret/batch", status)
        for _ in range(2):
            assert office.clock.run(client.read([Command("profile", {})])) == [1]
        hosts = [(request.method, request.url.host) for request in requests]
        assert hosts == [("POST", "old.test"), ("POST", "new.test"), ("POST", "new.test")]
        assert requests[0].content == requests[1].content
        assert (client.moved_from, client.host, client.address) == ("old.test", "new.test", "https://new.test")

    @pytest.mark.parametrize(
        "location",
        ["http://new.test/rest/1/topsecret/batch", "https://new.test/login", "https://old.test/rest/1/topsecret/batch/x",
         "https://[new.test/", ""],
    )  # fmt: skip
    def test_other_redirects_are_explained_and_never_followed(self, office, location):
        client, requests = self.client(office, location)
        with pytest.raises(PortalRefused, match=r"old\.test redirects to") as refused:
            office.clock.run(client.read([Command("profile", {})]))
        assert len(requests) == 1
        assert refused.value.exit_status == 2
        assert "topsecret" not in refused.value.problem + refused.value.hint

    def test_a_redirect_that_leads_in_a_circle_ends(self, office):
        client, requests = self.client(office, "https://old.test/rest/1/topsecret/batch")
        with pytest.raises(PortalRefused):
            office.clock.run(client.read([Command("profile", {})]))
        assert len(requests) == 2
