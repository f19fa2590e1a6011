"""Cards of forgotten people: deleted or emptied, only where they are still ours, and seen to be so."""

import httpx
import pytest
from pydantic import SecretStr

from ingest.bitrix24.client import Client
from ingest.bitrix24.pacing import Pace
from publish.bitrix24.forgotten_cards import NOBODY, treat
from publish.bitrix24.parts import CONTACT
from tests.publish import marts
from tests.publish.conftest import WEBHOOK

PERSON, OTHER = marts.contact_id(1), marts.contact_id(2)


def treated(office, treatment: str, *origin_ids: str) -> dict[str, str]:
    """What became of cards, by our key."""
    ours = {office.ids("contact")[origin_id]: origin_id for origin_id in origin_ids}

    async def work() -> dict[int, str]:
        pace, transport = Pace(0, 1, 0, office.clock), httpx.ASGITransport(office.app)
        async with Client(SecretStr(WEBHOOK), pace, transport=transport) as client:
            return await treat(client, CONTACT, treatment, ours)

    return {ours[number]: state for number, state in office.clock.run(work()).items()}


def test_a_card_is_deleted_and_one_that_somebody_deleted_before_is_gone(published):
    assert treated(published, "delete", PERSON, OTHER) == {PERSON: "deleted", OTHER: "deleted"}
    assert {PERSON, OTHER}.isdisjoint(card["originId"] for card in published.portal.items("contact"))
    assert treated(published, "delete", PERSON) == {PERSON: "gone"}


def test_an_emptied_card_has_no_name_phone_or_email_and_keeps_its_links(published):
    published.edit(3, published.ids("contact")[PERSON], comments="любит кофе")
    links = published.portal.links()
    assert treated(published, "empty", PERSON) == {PERSON: "emptied"}
    card = published.card("contact", PERSON)
    assert [card[name] for name in ("lastName", "name", "post", "comments", "fm")] == [NOBODY, None, None, None, []]
    assert published.portal.links() == links
    assert published.card("contact", OTHER)["lastName"] == "Петров2"


@pytest.mark.parametrize("treatment", ["delete", "empty"])
def test_a_card_whose_key_is_not_ours_any_more_is_left_alone(published, treatment):
    published.edit(3, published.ids("contact")[PERSON], originId="somebody's")
    assert treated(published, treatment, PERSON) == {PERSON: "not ours"}
    assert published.portal.counts()["contact"] == 8


@pytest.mark.parametrize(("treatment", "state"), [("delete", "gone"), ("empty", "emptied")])
def test_an_answer_that_was_lost_is_looked_for(published, treatment, state):
    published.faults.script(None, "lose_answer")
    assert treated(published, treatment, PERSON)[PERSON] in (state, "deleted")
