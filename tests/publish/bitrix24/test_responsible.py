"""Who answers for a new card."""

import pytest

from ingest.warehouse.errors import OperatorError, SettingsError
from publish.settings import Settings
from tests.publish import marts


def users_of(office, entity):
    return {item["originId"]: item["assignedById"] for item in office.portal.items(entity)}


@pytest.fixture
def staffed(open_office):
    """An office in which users 7, 12 and 15 work, with settings of its own."""

    def build(responsible, **settings):
        office = open_office(responsible=responsible, **settings)
        for user in (7, 12, 15):
            office.portal.set_user(user)
        return office

    return build


def test_one_user_answers_for_all_new_cards(staffed):
    office = staffed("7")
    marts.fill(office.connection, 3, 3, 3)
    office.push()
    assert {user for entity in ("company", "contact", "deal") for user in users_of(office, entity).values()} == {7}


def test_users_take_turns_and_people_and_orders_go_with_their_company(staffed):
    office = staffed("7,12,15")
    marts.fill(office.connection, 40, 40, 40)
    office.push()
    companies, contacts, deals = (users_of(office, entity) for entity in ("company", "contact", "deal"))
    assert set(companies.values()) == {7, 12, 15}
    of_contact = office.sql("select contact_id, company_id from marts.crm_company_contacts where is_primary")
    assert of_contact and all(contacts[contact] == companies[company] for contact, company in of_contact)
    of_deal = office.sql("select deal_id, company_id from marts.crm_deals")
    assert of_deal and all(deals[deal] == companies[company] for deal, company in of_deal)


def test_the_region_of_the_inn_decides_and_nobody_named_leaves_the_webhooks_user(staffed):
    office = staffed("77=7,78=12")
    marts.fill(office.connection, 3, 0)
    companies = office.sql("select company_id from marts.crm_companies order by 1")
    for (company,), region in zip(companies, ("77", "78", "50"), strict=True):
        office.sql(f"update marts.crm_companies set region = '{region}' where company_id = '{company}'")
    office.push()
    assert list(users_of(office, "company").values()) == [7, 12, 1]


def test_cards_that_are_there_are_not_handed_on(staffed):
    office = staffed("7")
    marts.fill(office.connection, 2, 0)
    office.push()
    (first, _) = office.portal.items("company")
    office.call("crm.item.update", {"entityTypeId": 4, "id": first["id"], "fields": {"assignedById": 15}})
    office.sql("update marts.crm_companies set title = title || ' и партнёры'")
    office.push()
    assert sorted(users_of(office, "company").values()) == [7, 15]


def test_marts_of_an_older_version_stop_the_push_before_anything_is_sent(staffed):
    office = staffed("7")
    marts.fill(office.connection, 1, 0)
    office.sql("alter table marts.crm_companies drop region")
    with pytest.raises(OperatorError, match="tells no region"):
        office.push()
    assert office.portal.writes() == {}


def test_a_user_who_is_not_there_or_has_left_stops_the_push_before_anything_is_sent(staffed):
    office = staffed("7,99,15")
    office.portal.set_user(15, ACTIVE=False)
    marts.fill(office.connection, 1, 0)
    with pytest.raises(SettingsError, match="no active user 15, 99"):
        office.push()
    assert office.portal.writes() == {}


@pytest.mark.parametrize("text", ["7;12", "Иван", "777=7", "77=", "0"])
def test_what_is_no_list_of_users_is_told(text):
    with pytest.raises(ValueError, match="is not a list like 7,12"):
        Settings(_env_file=None, responsible=text)
