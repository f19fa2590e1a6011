"""Updates: the changed field, after a look at the card, and nothing else."""

import itertools

import pytest

from publish import plan
from publish.bitrix24 import updates
from publish.bitrix24.parts import PARTS
from publish.bitrix24.run import settle
from publish.ledger import Ledger
from tests.publish import marts


def test_one_changed_phone_among_a_hundred_thousand_contacts_is_one_write_command(office):
    marts.fill(office.connection, 40, 400)
    office.push()
    marts.fill(office.connection, 40, 100_000)
    plan.compute(Ledger(office.connection, office.settings.portal), PARTS)
    marts.take_over(office.connection)  # the others are published as far as the ledger knows
    office.portal.clear_log()
    office.sql("update marts.crm_contacts set phones = ['+79990001122'] where contact_id = contact_id(7)")
    result = office.push()
    assert office.portal.writes() == {"crm.item.update": 1}
    assert result.requests == 8  # the portal's books, the card as it is, the change, and the portal's mark five times
    held = {item["originId"]: item["fm"] for item in office.portal.items("contact")}
    assert [entry["value"] for entry in held[marts.contact_id(7)] if entry["typeId"] == "PHONE"] == ["+79990001122"]


def test_only_the_changed_field_is_sent(office):
    marts.fill(office.connection, 3, 0)
    office.push()
    card = office.ids("company")[marts.company_id(1)]
    office.call("crm.item.update", {"entityTypeId": 4, "id": card, "fields": {"comments": "звонить после обеда"}})
    office.sql("update marts.crm_companies set title = 'ООО Василёк' where company_id = company_id(1)")
    office.push()
    held = next(item for item in office.portal.items("company") if item["id"] == card)
    assert (held["title"], held["comments"]) == ("ООО Василёк", "звонить после обеда")


def test_what_a_killed_push_changed_is_changed_again_in_a_portal_put_back_to_before_it(office, tmp_path, monkeypatch):
    office.swap_portal(tmp_path / "portal.sqlite")
    marts.fill(office.connection, 4, 8, 4)
    office.push()
    office.portal.copy_to(tmp_path / "copy.sqlite")
    office.sql("update marts.crm_deals set amount = amount + 1")

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(updates, "settle", killed)
        office.push(let_through=True)
    office.push(let_through=True)  # the portal shows it: nothing is to be sent
    office.swap_portal(tmp_path / "copy.sqlite")
    office.sql("update marts.crm_companies set title = title || '!'")
    office.push(let_through=True)
    assert office.differences() == []


def test_what_a_killed_push_sent_is_ours_in_a_portal_put_back_to_that_moment_too(office, tmp_path, monkeypatch):
    office.swap_portal(tmp_path / "portal.sqlite")
    marts.fill(office.connection, 4, 8, 4)
    office.push()
    office.sql("update marts.crm_companies set title = title || ' +1'")

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(updates, "settle", killed)
        office.push(let_through=True)
    office.portal.copy_to(tmp_path / "copy.sqlite")  # it shows what the ledger does not know of
    office.sql("update marts.crm_companies set title = title || ' +2'")
    office.push(let_through=True)
    office.swap_portal(tmp_path / "copy.sqlite")
    office.sql("update marts.crm_deals set amount = amount + 1")
    office.push(let_through=True)
    assert office.differences() == office.sql("from sync.conflicts") == []


def test_a_card_that_was_taken_in_is_ours_as_far_as_the_ledger_knew_it_before_also_when_it_was_refused_at_first(
    published, tmp_path
):
    office = published
    office.portal.copy_to(tmp_path / "older.sqlite")
    marts.fill(office.connection, 6, 12, 6)
    office.push(let_through=True)
    office.portal.copy_to(tmp_path / "given_up.sqlite")
    office.swap_portal(tmp_path / "older.sqlite")
    office.call("crm.item.add", {"entityTypeId": 2, "fields": {"title": "Их"}})
    office.sql("update marts.crm_deals set amount = amount + 1")
    office.push(let_through=True)
    office.swap_portal(tmp_path / "given_up.sqlite")  # deals of ours have other numbers here
    office.faults.fail("crm.item.update", "", "Insufficient permissions to change the stage", times=100)
    office.sql("update marts.crm_deals set amount = amount + 1")
    office.push(let_through=True)
    assert office.sql("select count(*) from sync.dead_letters where entity = 'deal'") != [(0,)]
    office.faults.errors.clear()
    office.sql("update sync.dead_letters set next_at = last_at")
    office.push(let_through=True)
    assert office.differences() == office.sql("from sync.conflicts") == []


def test_what_a_killed_push_sent_is_ours_also_when_the_sources_have_changed_again_since(published, monkeypatch):
    def change_all(phone: str) -> None:
        published.sql("update marts.crm_companies set title = title || '+', legal_address = legal_address || '+'")
        published.sql("update marts.crm_contacts set phones = [$1 || right(phones[1], 7)]", phone)
        published.sql("update marts.crm_deals set amount = amount + 1")

    for kind, phone in enumerate(("+7495", "+7496", "+7497", "+7498")):
        change_all(phone)
        answers = itertools.count()

        def killed(*arguments, last=kind, answers=answers):
            if next(answers) == last:
                raise KeyboardInterrupt
            return settle(*arguments)

        with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
            killing.setattr(updates, "settle", killed)
            published.push(let_through=True)
    change_all("+7499")
    published.push(let_through=True)
    assert published.differences() == []
    assert published.sql("from sync.conflicts") == published.sql("from sync.updates_under_way") == []


def test_the_day_a_deal_is_closed_replaces_the_one_that_the_portal_set_itself(office):
    marts.fill(office.connection, 1, 1, 1)
    office.push()
    assert office.portal.items("deal")[0]["closedate"]
    office.sql(
        """update marts.crm_deals set status = 'done', closed_at = timestamp '2026-03-05 21:30:00',
               closed_on = date '2026-03-06'"""
    )
    office.push()
    (held,) = office.portal.items("deal")
    assert (held["stageId"], held["closedate"][:10]) == ("WON", "2026-03-06")
    assert office.sql("select count(*) from sync.conflicts") == [(0,)]


def test_what_was_left_to_managers_goes_out_once_the_setting_makes_it_the_sources(published):
    for n in (1, 2):
        published.edit(4, published.ids("company")[marts.company_id(n)], title="Как записал менеджер")
    published.sql("update marts.crm_companies set title = 'По договору' where company_id = company_id(1)")
    published.push()
    assert [field for (field,) in published.sql("select field from sync.conflicts")] == ["title"]
    published.push(field_owners={"company.title": "source"})
    assert published.card("company", marts.company_id(1))["title"] == "По договору"
    assert published.card("company", marts.company_id(2))["title"] == "Как записал менеджер"
    assert published.sql("from sync.conflicts") == []
    published.portal.clear_log()
    published.push(field_owners={"company.title": "source"})
    assert published.portal.request_log() == []


def test_phones_that_managers_owned_for_a_while_are_replaced_once_they_are_the_sources(published):
    published.sql("update marts.crm_contacts set phones = ['+79160000077'] where contact_id = contact_id(1)")
    published.push(field_owners={"contact.PHONE": "manager"})
    assert published.sql("select field, in_portal, wanted from sync.conflicts") == [
        ("PHONE", "+79160000001", "+79160000077")
    ]
    published.push(field_owners={"contact.PHONE": "source"})
    phones = [
        value["value"] for value in published.card("contact", marts.contact_id(1))["fm"] if value["typeId"] == "PHONE"
    ]
    assert (phones, published.sql("from sync.conflicts")) == (["+79160000077"], [])


def test_all_phones_that_a_manager_took_away_are_listed(published):
    key, phones = marts.contact_id(1), ["+79160000001", "+79160000002"]
    published.sql("update marts.crm_contacts set phones = ?, emails = [] where contact_id = ?", phones, key)
    published.push()
    values = published.card("contact", key)["fm"]
    taken = {str(value["id"]): {"typeId": value["typeId"], "value": ""} for value in values}
    published.edit(3, published.ids("contact")[key], fm=taken)
    published.sql("update marts.crm_contacts set post = 'директор' where contact_id = ?", key)
    published.push()
    assert published.sql("select field, wanted from sync.conflicts") == [("PHONE", ", ".join(phones))]
