"""Records that wait for a person or their next try start no push and stop none, and neither does what needs them."""

import pytest

from publish import plan
from publish.bitrix24.parts import PARTS
from publish.entries import Refusal
from publish.ledger import Ledger
from tests.publish import marts
from tests.publish.bitrix24.test_adoption import type_in

INN_OF = "select inn from marts.crm_companies where company_id = company_id(?)"


def twice(office, *numbers: int) -> None:
    """A manager has each of these companies on two cards."""
    for number in numbers:
        ((inn,),) = office.sql(INN_OF, number)
        type_in(office, inn)
        type_in(office, inn)


def cleared_of_waiting(office) -> None:
    """The next push asks only, and writes nothing: no mark either."""
    office.portal.clear_log()
    office.push()
    assert office.portal.writes() == {}


@pytest.fixture
def guarded(open_office):
    office = open_office(fuse_floor=5)
    marts.fill(office.connection, 40, 80, 40)
    return office


def test_companies_that_are_twice_in_the_portal_do_not_stop_the_pushes_that_follow(guarded):
    twice(guarded, *range(0, 40, 4))
    guarded.push()
    cleared_of_waiting(guarded)
    guarded.sql("update marts.crm_companies set title = title || '!' where company_id = company_id(1)")
    guarded.push()
    assert guarded.card("company", marts.company_id(1))["title"].endswith("!")
    assert guarded.sql("select count(*) from sync.adoption_duplicates") == [(10,)]


def test_a_company_comes_with_its_people_and_deals_once_its_cards_are_joined(guarded):
    twice(guarded, 3)
    guarded.push()
    (strangers,) = guarded.sql("select bitrix_ids from sync.adoption_duplicates")[0]
    for card in strangers:
        guarded.call("crm.item.delete", {"entityTypeId": 4, "id": card})
    guarded.push()
    assert guarded.differences() == []


def test_what_needs_dead_lettered_companies_does_not_stop_the_pushes_that_follow(guarded):
    invalid = ("CRM_FIELD_ERROR_VALUE_NOT_VALID", 'Invalid value for field "title"')
    guarded.faults.fail("crm.item.batchImport", *invalid, times=2 + 40)  # two commands of 20, then each alone
    guarded.push()
    assert guarded.sql("select count(*) from sync.dead_letters where entity = 'company'") == [(40,)]
    guarded.portal.clear_log()
    guarded.push()
    assert guarded.portal.request_log() == []
    guarded.sql("update sync.dead_letters set next_at = now()::timestamp")
    guarded.push()
    assert guarded.differences() == []


def test_a_person_whose_second_company_waits_comes_with_the_first_one(guarded):
    twice(guarded, 1)  # person 0 works at companies 0 and 1
    guarded.push()
    ids = guarded.ids("company")
    assert marts.contact_id(0) in guarded.ids("contact")
    person = guarded.ids("contact")[marts.contact_id(0)]
    assert [company for contact, company in guarded.portal.links() if contact == person] == [ids[marts.company_id(0)]]
    cleared_of_waiting(guarded)


def test_a_deal_whose_person_is_dead_lettered_is_sent_without_and_not_again_until_the_person_comes(guarded):
    ledger = Ledger(guarded.connection, guarded.settings.portal)
    plan.compute(ledger, PARTS)
    sql = "select wanted from plan_contact where origin_id = contact_id(5)"
    ledger.settle(refused=[Refusal("contact", marts.contact_id(5), guarded.sql(sql)[0][0], "", "no")])
    guarded.push()
    assert guarded.sql("select entity, origin_id from sync.dead_letters") == [("contact", marts.contact_id(5))]
    guarded.portal.clear_log()
    guarded.push()
    assert guarded.portal.request_log() == []
    guarded.sql("update sync.dead_letters set next_at = now()::timestamp")
    guarded.push()
    assert guarded.differences() == []


def test_an_inn_that_is_held_back_writes_nothing_while_it_waits(published):
    type_in(published, "7707083893")
    published.sql("update marts.crm_companies set inn = '7707083893' where company_id = company_id(1)")
    published.push()
    cleared_of_waiting(published)
