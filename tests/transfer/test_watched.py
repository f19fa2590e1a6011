"""The watch over portals of a move notices what it is there for."""

import httpx
import pytest

from publish.sandbox import Limits
from tests.watched import WatchedSandbox

PARTNER = {"VALUE": "anna@example.ru", "ENTITY_TYPE_ID": 3, "ENTITY_ID": 1}
LETTER = {"OWNER_TYPE_ID": 3, "OWNER_ID": 1, "TYPE_ID": 4, "RESPONSIBLE_ID": 1, "SUBJECT": "Письмо"}
LETTER |= {"DIRECTION": 2, "COMPLETED": "Y", "COMMUNICATIONS": [PARTNER]}


@pytest.fixture
def cloud():
    with WatchedSandbox(is_left=True, limits=Limits.none()) as cloud:
        yield cloud


def test_what_a_program_makes_happen_is_told(cloud):
    for method, body in (
        ("crm.item.add", {"entityTypeId": 3, "fields": {"name": "Анна"}}),
        ("crm.activity.add", {"fields": LETTER}),
    ):
        httpx.post(cloud.webhook + method, json=body).raise_for_status()
    assert cloud.by_programs() == {"automation started": 1, "mails sent": 2, "writes": 2}
    assert cloud.by_programs() == {}


def test_what_people_do_is_not_told_and_nothing_is_lost_when_a_portal_starts_over(cloud):
    cloud.ask("crm.item.add", {"entityTypeId": 1, "fields": {"title": "Заявка"}})
    assert cloud.by_programs() == {}
    httpx.post(cloud.webhook + "crm.item.add", json={"entityTypeId": 1, "fields": {"title": "Заявка"}})
    cloud.start_over(limits=Limits.none())
    assert cloud.by_programs() == {"automation started": 1, "writes": 1}
