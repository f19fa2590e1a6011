"""The client: what it sends, what it gives up on, and what it never shows."""

import httpx
import pytest
from pydantic import SecretStr

from publish.bitrix24.client import Client, Command, query
from publish.bitrix24.errors import PortalRefused, PortalUnavailable
from publish.bitrix24.pacing import Pace
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


def test_the_secret_is_in_no_representation_and_no_error(open_office):
    office = open_office()
    webhook = SecretStr("http://portal.test/rest/1/topsecret/")
    client = Client(webhook, Pace(0, 50, 0, office.clock), transport=httpx.ASGITransport(office.app))
    with pytest.raises(PortalRefused) as refused:
        office.clock.run(client.read([Command("profile", {})]))
    assert refused.value.exit_status == 2
    assert "topsecret" not in repr(client) + repr(office.settings) + repr(refused.value) + refused.value.hint


def test_parameters_are_encoded_as_php_reads_them():
    params = {"fields": {"title": "ООО «Р&К» +1 #2", "PHONE": [{"VALUE": "+7"}], "post": None, "UF": []}}
    assert query(params) == (
        "fields[title]=%D0%9E%D0%9E%D0%9E+%C2%AB%D0%A0%26%D0%9A%C2%BB+%2B1+%232"
        "&fields[PHONE][0][VALUE]=%2B7&fields[post]=&fields[UF]="
    )
