"""Managers' edits survive: the field somebody touched is theirs, and the conflict is listed."""

import pytest

from tests.publish import marts


def phones(office, origin_id: str) -> list[str]:
    return sorted(entry["value"] for entry in office.card("contact", origin_id)["fm"] if entry["typeId"] == "PHONE")


def test_a_title_a_phone_and_a_link_of_a_manager_survive_an_increment(published):
    office, firm, person = published, marts.company_id(1), marts.contact_id(1)
    companies, contacts = office.ids("company"), office.ids("contact")
    office.edit(4, companies[firm], title="Ромашка (наш лучший клиент)")
    value = {"typeId": "PHONE", "valueType": "MOBILE", "value": "+7 (999) 111-22-33"}
    office.edit(3, contacts[person], fm={"n0": value})
    link = {"id": contacts[person], "fields": {"COMPANY_ID": companies[marts.company_id(3)]}}
    office.call("crm.contact.company.add", link)

    office.sql("update marts.crm_companies set title = title || ' +', order_count = 77, kpp = '770702002'")
    office.sql("update marts.crm_contacts set phones = ['+79990000000'], post = 'директор'")
    office.push()

    held = office.card("company", firm)
    assert (held["title"], held["UF_CRM_SVOD_ORDER_COUNT"]) == ("Ромашка (наш лучший клиент)", 77)
    assert phones(office, person) == ["+7 (999) 111-22-33", "+79990000000"]
    assert office.card("contact", person)["post"] == "директор"
    assert companies[marts.company_id(3)] in office.card("contact", person)["companyIds"]
    listed = office.sql("select entity, origin_id, field, in_portal, wanted from sync.conflicts")
    assert listed == [("company", firm, "title", "Ромашка (наш лучший клиент)", 'ООО "Ромашка & Ко" № 1 +')]


def test_a_conflict_costs_nothing_on_the_next_run(published):
    office = published
    office.edit(4, office.ids("company")[marts.company_id(1)], title="Моё")
    office.sql("update marts.crm_companies set title = title || ' +'")
    office.push()
    office.portal.clear_log()
    office.push()
    assert office.portal.request_log() == []


def test_a_field_that_the_manager_gives_back_is_ours_again(published):
    office, firm = published, marts.company_id(1)
    card, original = office.ids("company")[firm], office.card("company", firm)["title"]
    office.edit(4, card, title="Моё")
    office.sql("update marts.crm_companies set title = title || ' +'")
    office.push()
    office.edit(4, card, title=original)
    office.sql("update marts.crm_companies set title = title || '+'")
    office.push()
    assert office.card("company", firm)["title"] == original + " ++"
    assert office.sql("select count(*) from sync.conflicts") == [(0,)]


def test_a_value_typed_by_hand_that_is_the_wanted_one_is_no_conflict(published):
    office, firm = published, marts.company_id(1)
    office.edit(4, office.ids("company")[firm], title="ООО Новое")
    office.sql("update marts.crm_companies set title = 'ООО Новое' where company_id = ?", firm)
    office.portal.clear_log()
    office.push()
    assert "crm.item.update" not in office.portal.writes()
    assert office.sql("select count(*) from sync.conflicts") == [(0,)]


def test_a_phone_that_the_manager_took_away_stays_away(published):
    office, person = published, marts.contact_id(1)
    held = office.card("contact", person)
    number = next(entry for entry in held["fm"] if entry["typeId"] == "PHONE")
    office.edit(3, held["id"], fm={str(number["id"]): {"typeId": "PHONE", "value": ""}})
    office.sql("update marts.crm_contacts set phones = list_append(phones, '+79991112233'), post = 'директор'")
    office.push()
    assert phones(office, person) == ["+79991112233"]
    assert office.sql("select field, in_portal from sync.conflicts") == [("PHONE", None)]


def test_the_same_number_in_another_spelling_is_not_added_twice(published):
    office, person = published, marts.contact_id(1)
    office.edit(3, office.ids("contact")[person], fm={"n0": {"typeId": "PHONE", "value": "8 (999) 111-22-33"}})
    office.sql(
        "update marts.crm_contacts set phones = list_append(phones, '+79991112233') where contact_id = ?", person
    )
    office.push()
    assert phones(office, person) == ["+79160000001", "8 (999) 111-22-33"]


def test_a_changed_value_keeps_its_id(published):
    office, person = published, marts.contact_id(1)
    before = {entry["id"] for entry in office.card("contact", person)["fm"]}
    office.sql("update marts.crm_contacts set phones = ['+79991112233'] where contact_id = ?", person)
    office.push()
    assert {entry["id"] for entry in office.card("contact", person)["fm"]} == before


def test_a_stage_that_the_manager_moved_on_stays(published):
    office, deal = published, "shop_a:0000000"
    office.edit(2, office.ids("deal")[deal], stageId="EXECUTING")
    office.sql("update marts.crm_deals set status = 'paid', amount = 99.90 where deal_id = ?", deal)
    office.push()
    held = office.card("deal", deal)
    assert (held["stageId"], held["opportunity"]) == ("EXECUTING", 99.9)


def test_other_contacts_that_a_manager_put_on_a_deal_stay(published):
    office, deal = published, "shop_a:0000001"
    card, contacts = office.ids("deal")[deal], office.ids("contact")
    link = {"id": card, "fields": {"CONTACT_ID": contacts[marts.contact_id(5)]}}
    office.call("crm.deal.contact.add", link)
    office.sql("update marts.crm_deals set contact_id = contact_id(7) where deal_id = ?", deal)
    office.push()
    held = office.card("deal", deal)["contactIds"]
    assert sorted(held) == sorted([contacts[marts.contact_id(1)], contacts[marts.contact_id(5)]])
    assert office.sql("select field from sync.conflicts") == [("contactId",)]


@pytest.mark.parametrize(
    ("owner", "in_portal", "expected"),
    [("source", "Моё", "ООО Новое"), ("manager", "Моё", "Моё"), ("last_sent", "Моё", "Моё")],
)
def test_ownership_of_a_field_is_a_setting(open_office, owner, in_portal, expected):
    office, firm = open_office(field_owners={"company.title": owner}), marts.company_id(1)
    marts.fill(office.connection, 2, 0)
    office.push()
    office.edit(4, office.ids("company")[firm], title=in_portal)
    office.sql("update marts.crm_companies set title = 'ООО Новое'")
    office.push()
    assert office.card("company", firm)["title"] == expected


def test_a_managers_field_is_filled_only_where_it_is_empty(open_office):
    office = open_office(field_owners={"contact.post": "manager"})
    marts.fill(office.connection, 1, 2)
    office.push()
    office.sql("update marts.crm_contacts set post = 'директор'")
    office.push()
    assert [item["post"] for item in office.portal.items("contact")] == ["бухгалтер", "директор"]


def test_a_phone_and_an_email_that_are_new_at_once_both_arrive(published):
    office, person = published, marts.contact_id(1)
    office.sql(
        """update marts.crm_contacts set phones = list_append(phones, '+79991112233'),
               emails = list_append(emails, 'second@example.ru') where contact_id = ?""",
        person,
    )
    office.push()
    values = sorted(entry["value"] for entry in office.card("contact", person)["fm"])
    assert values == ["+79160000001", "+79991112233", "petrov1@example.ru", "second@example.ru"]
