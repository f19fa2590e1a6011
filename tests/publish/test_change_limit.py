"""The change limit: what counts, what passes, and what a person is told before letting a plan through."""

import json

import pytest
from pydantic import SecretStr

from ingest.bitrix24.errors import PortalRefused
from ingest.warehouse.errors import OperatorError
from publish import changes, plan, portals
from publish.bitrix24.parts import PARTS
from publish.change_limit import ChangeLimitReached
from publish.ledger import Ledger
from publish.sandbox import Limits, create_app
from tests.publish import marts


def filled(open_office, companies: int = 40, contacts: int = 40, deals: int = 0, **settings):
    office = open_office(fuse_floor=5, **settings)
    marts.fill(office.connection, companies, contacts, deals)
    office.push()
    office.portal.clear_log()
    return office


def stopped(office, **settings) -> ChangeLimitReached:
    with pytest.raises(ChangeLimitReached) as caught:
        office.push(**settings)
    assert caught.value.exit_status == 3
    assert office.portal.writes() == {}
    return caught.value


def summary(office) -> dict[str, changes.PartChanges]:
    ledger = Ledger(office.connection, office.settings.portal)
    plan.compute(ledger, PARTS)
    return {kind.entity: kind for kind in changes.summary(ledger, PARTS)}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("update marts.crm_companies set legal_address = legal_address || '!'", "address 34 of 34"),
        ("update marts.crm_companies set bank_name = 'ПАО ВТБ'", "bank_detail 32 of 32"),
        ("update marts.crm_companies set kpp = '770701002' where kpp is not null", "requisite 30 of 40"),
        ("update marts.crm_contacts set post = 'директор'", "contact 40 of 40"),
        ("delete from marts.crm_company_contacts where is_primary", "company_contact 40 of 44"),
        ("update marts.crm_deals set amount = amount + 1", "deal 40 of 40"),
    ],
)
def test_what_hangs_on_a_card_links_and_deals_count_like_cards(open_office, change, kind):
    office = filled(open_office, deals=40)
    office.sql(change)
    assert kind in stopped(office).problem


def test_a_little_of_every_kind_is_too_much_in_all(open_office):
    office = filled(open_office, deals=40, fuse_share=0.1)
    office.sql("update marts.crm_companies set title = title || '!' where company_id <= company_id(4)")
    office.sql("update marts.crm_contacts set post = 'директор' where contact_id <= contact_id(4)")
    office.sql("update marts.crm_deals set amount = amount + 1 where deal_id <= 'shop_a:0000004'")
    office.push()  # five of each kind and twenty in all, of 270
    office.sql("update marts.crm_companies set title = title || '!', legal_address = legal_address || '!'")
    office.settings = office.settings.model_copy(update={"fuse_floor": 40})
    office.portal.clear_log()
    problem = stopped(office).problem
    assert "would write 114 parts, 270 are published" in problem


def test_the_first_push_of_a_warehouse_passes_however_large(open_office):
    office = filled(open_office)
    assert office.differences() == []


def test_a_first_filling_that_broke_off_goes_on(open_office):
    office = open_office(fuse_floor=5)
    marts.fill(office.connection, 30, 0)
    office.faults.fail("crm.requisite.add", "OVERLOAD_LIMIT", "REST API is blocked")
    with pytest.raises(PortalRefused):
        office.push()
    assert office.ids("company")
    marts.fill(office.connection, 100, 0)
    office.push()
    assert office.differences() == []


def test_a_first_filling_that_broke_off_goes_on_after_pushes_that_had_nothing_to_send(open_office):
    office = open_office(fuse_floor=5)
    office.push()  # the registry was down, say
    marts.fill(office.connection, 30, 0)
    office.faults.fail("crm.requisite.add", "OVERLOAD_LIMIT", "REST API is blocked")
    with pytest.raises(PortalRefused):
        office.push()
    assert office.ids("company")
    office.push()
    assert office.differences() == []


def test_a_portal_of_which_the_first_push_brought_nothing_is_still_to_be_filled(open_office):
    office = open_office(fuse_floor=5)
    marts.fill(office.connection, 10, 0)
    office.faults.fail("crm.item.batchImport", "CRM_FIELD_ERROR_REQUIRED", 'The "Fax" field is required', times=11)
    office.push()
    assert office.ids("company") == {}
    office.sql("update sync.dead_letters set next_at = now()::timestamp")
    office.push()
    assert office.differences() == []


def test_another_portal_is_filled_after_a_confirmation_and_the_message_says_that_it_is_a_first_filling(open_office):
    office = filled(open_office)
    office.app = create_app(":memory:", limits=Limits.none(), clock=office.clock)
    other = {"bitrix24_webhook": SecretStr("http://other.test/rest/1/sandbox/")}
    problem = stopped(office, **other).problem
    assert "it looks like the first filling of other.test; this warehouse has filled portal.test before" in problem
    office.faults.fail("crm.requisite.add", "OVERLOAD_LIMIT", "REST API is blocked")
    with pytest.raises(PortalRefused):
        office.push(let_through=True, **other)
    office.push(**other)  # what is left of it
    assert office.portal.counts()["company"] == 40


def add_source(office, records: int) -> None:
    """As many companies and people of a third shop beside those that are there, which it knows as well."""
    office.sql(
        """insert into marts.crm_companies by name select * replace (
               'c-shop_c' || company_id as company_id, '99' || right(inn, 8) as inn, 'shop_c' as sources)
           from marts.crm_companies where company_id < ?""",
        marts.company_id(records),
    )
    office.sql(
        """insert into marts.crm_contacts by name select * replace (
               'p-shop_c' || contact_id as contact_id, 'shop_c' as sources)
           from marts.crm_contacts where contact_id < ?""",
        marts.contact_id(records),
    )
    office.sql(
        """insert into marts.crm_company_contacts by name
           select 'c-shop_c' || company_id as company_id, 'p-shop_c' || contact_id as contact_id, is_primary
           from marts.crm_company_contacts where contact_id < ? and is_primary""",
        marts.contact_id(records),
    )
    office.sql("update marts.crm_companies set sources = 'shop_a, shop_c' where company_id = company_id(1)")


def test_a_source_added_later_is_said_to_be_one_and_confirmed_once(open_office):
    office = filled(open_office)
    add_source(office, 30)
    problem = stopped(office).problem
    assert "it looks like the first filling from shop_c: 30 of 30 new company cards and 30 of 30 new contact cards" in (
        problem
    )
    office.push(let_through=True)
    assert office.differences() == []
    office.sql("update marts.crm_companies set title = title || '!'")
    office.portal.clear_log()
    assert "SVOD_FUSE_SHARE=0.2 lets less through" in stopped(office).problem


def test_a_new_source_does_not_cover_for_changes_of_what_is_there(open_office):
    office = filled(open_office)
    add_source(office, 30)
    office.sql("update marts.crm_companies set title = title || '!' where sources = 'shop_a'")
    assert "SVOD_FUSE_SHARE=0.2 lets less through" in stopped(office).problem


def test_the_message_says_which_fields_change_and_the_most_frequent_values(open_office):
    office = filled(open_office, companies=60)
    office.sql(
        """insert into marts.departed_companies
           select company_id, 'inactive', null from marts.crm_companies where company_id < company_id(25)"""
    )
    office.sql("delete from marts.crm_companies where company_id < company_id(25)")
    office.sql("update marts.crm_companies set sources = 'shop_b' where sources = 'shop_a'")
    office.sql("update marts.crm_companies set title = title || '!'")
    error = stopped(office)
    assert "\n" not in error.problem + error.hint
    assert error.details == [
        "company, 60 published: update 60",
        "    title 35",
        "    UF_CRM_SVOD_STATE 25; active -> inactive 25",
        "    UF_CRM_SVOD_SOURCES 24; shop_a -> shop_b 24",
        "requisite, 60 published: update 35",
        "    RQ_COMPANY_NAME 35",
    ]


def test_what_people_are_called_and_how_they_are_reached_is_never_shown(open_office):
    office = filled(open_office, contacts=60)
    office.sql(
        """update marts.crm_contacts
           set card_last_name = 'Сидорова', post = 'директор', phones = ['+74950000000'], emails = ['a@example.ru']"""
    )
    office.sql("update marts.crm_companies set director_name = 'Сидоров Сидор'")
    error = stopped(office)
    said = " ".join([error.problem, *error.details])
    assert "post 60" in said and "PHONE 60" in said and "RQ_DIRECTOR 40" in said
    assert not any(word in said for word in ("Сидор", "директор", "бухгалтер", "+7495", "example.ru", "Иванов"))
    shown = json.dumps([kind.fields["post"].patterns for kind in summary(office).values() if kind.entity == "contact"])
    assert shown == "[[]]"


def test_a_few_records_are_no_pattern_and_equal_values_in_another_form_are_no_change(open_office):
    office = filled(open_office)
    office.sql("update marts.crm_companies set sources = 'shop_x' where company_id <= company_id(18)")
    office.sql(
        """update marts.crm_contacts set phones = ['+74950000000', '+74950000001'], emails = []
           where contact_id = contact_id(1)"""
    )
    office.push(let_through=True)
    office.sql("update marts.crm_contacts set phones = list_reverse(phones) where contact_id = contact_id(1)")
    office.sql("update marts.crm_companies set sources = 'shop_y' where sources = 'shop_x'")
    changed = summary(office)
    assert changed["company"].fields == {"UF_CRM_SVOD_SOURCES": changes.FieldChanges(19)}
    assert changed["contact"].fields == {}


def test_what_a_break_left_of_a_confirmed_plan_goes_on_but_a_larger_plan_does_not(open_office):
    office = filled(open_office)
    office.sql("update marts.crm_contacts set post = 'директор'")
    office.faults.fail("crm.item.update", "OVERLOAD_LIMIT", "REST API is blocked", times=40)
    with pytest.raises(PortalRefused):
        office.push(let_through=True)
    office.sql("update marts.crm_companies set title = title || '!'")
    office.portal.clear_log()
    stopped(office)
    office.sql("update marts.crm_companies set title = rtrim(title, '!')")
    office.push()
    assert {card["post"] for card in office.portal.items("contact")} == {"директор"}
    assert office.sql("select count(*) from sync.confirmed_plans") == [(0,)]
    office.sql("update marts.crm_contacts set post = 'бухгалтер'")
    office.portal.clear_log()
    stopped(office)


def test_a_warehouse_of_before_portals_were_kept_counts_as_filled(open_office):
    office = filled(open_office)
    office.sql("delete from sync.portals")
    office.sql("update marts.crm_contacts set post = 'директор'")
    with pytest.raises(OperatorError, match="contact 40 of 40"):
        office.push()


def test_a_confirmation_goes_with_its_portal(open_office):
    office = filled(open_office)
    office.sql("update marts.crm_contacts set post = 'директор'")
    office.faults.fail("crm.item.update", "OVERLOAD_LIMIT", "REST API is blocked", times=40)
    with pytest.raises(PortalRefused):
        office.push(let_through=True)
    confirmed = "select portal from sync.confirmed_plans"
    aside = portals.put_aside(office.connection, "portal.test")
    assert office.sql(confirmed) == [(aside,)]
    portals.take_over(office.connection, aside, "renamed.test")
    assert office.sql(confirmed) == [("renamed.test",)]
