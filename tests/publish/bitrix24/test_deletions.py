"""Parts that a manager deleted: told from a lost right, listed, left alone, and made again when an operator asks."""

import pytest

from ingest.bitrix24.errors import PortalRefused
from publish import again, plan, set_aside
from publish.bitrix24.parts import PARTS
from publish.ledger import Ledger
from tests.publish import marts
from tests.publish.bitrix24.test_adoption import type_in

FIRM, PERSON = marts.company_id(1), marts.contact_id(1)


def delete(office, entity_type: int, entity: str, origin_id: str) -> int:
    """What a manager does; the card's id."""
    card = office.ids(entity)[origin_id]
    office.call("crm.item.delete", {"entityTypeId": entity_type, "id": card})
    return card


def deleted(office) -> list[tuple]:
    return office.sql("select entity, origin_id from sync.deletions order by 1, 2")


def dead_letters(office) -> list[tuple]:
    return office.sql("select entity, origin_id, error from sync.dead_letters order by 1, 2")


def retry(office, origin_id: str) -> tuple[int, int]:
    choice = set_aside.Choice(list(PARTS), origin_ids=(origin_id,))
    return set_aside.retry(Ledger(office.connection, office.settings.portal), choice)


def test_a_card_that_a_manager_deleted_is_listed_once_and_not_made_again(published):
    office = published
    delete(office, 3, "contact", PERSON)
    office.sql("update marts.crm_contacts set post = 'директор'")
    result = office.push()
    assert (deleted(office), dead_letters(office)) == ([("contact", PERSON)], [])
    assert (result.updated["contact"], result.dead_letters_now, result.deletions) == (7, 0, 1)
    office.sql("update marts.crm_contacts set post = 'бухгалтер'")
    office.push()
    office.portal.clear_log()
    office.push()
    assert office.portal.request_log() == []
    assert office.portal.counts()["contact"] == 7
    assert deleted(office) == [("contact", PERSON)]


def test_a_deletion_that_a_push_did_not_come_to_tell_is_told_by_the_next_one(published):
    office = published
    delete(office, 3, "contact", PERSON)
    office.sql("update marts.crm_contacts set post = 'директор'")
    office.sql("update marts.crm_deals set amount = amount + 1")
    execute = office.app.state.engine.request

    def stopped_at_deals(name, params, *, fault=None):
        if any("opportunity" in command for command in params.get("cmd", {}).values()):
            office.faults.fail("crm.item.update", "OVERLOAD_LIMIT", "REST API is blocked", 403, times=50)
        return execute(name, params, fault=fault)

    office.app.state.engine.request = stopped_at_deals
    with pytest.raises(PortalRefused):
        office.push()
    assert (deleted(office), dead_letters(office)) == ([], [("contact", PERSON, "NOT_FOUND")])
    office.app.state.engine.request = execute
    office.faults.errors.clear()
    office.push()
    assert (deleted(office), dead_letters(office)) == ([("contact", PERSON)], [])


def test_a_deletion_that_a_push_did_not_come_to_tell_is_told_also_where_nothing_is_to_be_sent(published):
    office = published
    delete(office, 3, "contact", PERSON)
    office.sql("update marts.crm_contacts set post = 'директор'")
    office.faults.fail("crm.item.get", "OVERLOAD_LIMIT", "REST API is blocked", 403)
    with pytest.raises(PortalRefused):
        office.push()
    assert (deleted(office), dead_letters(office)) == ([], [("contact", PERSON, "NOT_FOUND")])
    office.portal.clear_log()
    office.push()
    assert (deleted(office), dead_letters(office)) == ([("contact", PERSON)], [])
    assert office.portal.writes() == {}
    office.portal.clear_log()
    office.push()
    assert office.portal.request_log() == []


def test_a_card_that_may_no_longer_be_read_is_not_taken_for_a_deleted_one(published):
    office = published
    delete(office, 3, "contact", PERSON)  # no list has it, as with one that may not be read
    office.faults.fail("crm.item.get", "ACCESS_DENIED", "Access denied")
    office.sql("update marts.crm_contacts set post = 'директор'")
    result = office.push()
    assert deleted(office) == []
    assert dead_letters(office) == [("contact", PERSON, "ACCESS_DENIED")]
    assert result.dead_letters_now == 1


def test_a_deleted_company_takes_along_what_hung_on_it_and_what_comes_later_waits_for_no_one(published):
    office = published
    delete(office, 4, "company", FIRM)
    office.sql("update marts.crm_companies set director_name = 'Сидоров', legal_address = 'Тверь', title = 'ООО'")
    office.push()
    assert (deleted(office), dead_letters(office)) == ([("company", FIRM)], [])
    office.sql(
        """insert into marts.crm_deals by name
           select * replace ('new' as deal_id) from marts.crm_deals where company_id = ?""",
        FIRM,
    )
    office.sql(
        """insert into marts.crm_company_contacts by name
           select ? as company_id, contact_id(2) as contact_id, false as is_primary""",
        FIRM,
    )
    office.portal.clear_log()
    result = office.push()
    assert (office.portal.request_log(), result.dead_letters) == ([], 0)


def test_a_requisite_deleted_by_itself_is_known_from_one_that_went_with_its_company(published):
    office = published
    office.call("crm.requisite.delete", {"id": office.ids("requisite")[FIRM]})
    office.sql("update marts.crm_companies set director_name = 'Сидоров', bank_name = 'ПАО ВТБ'")
    office.push()
    assert (deleted(office), dead_letters(office)) == ([("requisite", FIRM)], [])


def test_a_new_link_to_a_deleted_card_tells_that_it_was_deleted(published):
    office = published
    delete(office, 4, "company", marts.company_id(3))
    office.sql(
        """insert into marts.crm_company_contacts by name
           select company_id(3) as company_id, ? as contact_id, false as is_primary""",
        PERSON,
    )
    office.faults.fail("crm.contact.company.add", "", "Not found.")
    office.push()
    assert (deleted(office), dead_letters(office)) == ([("company", marts.company_id(3))], [])


def test_a_new_deal_is_made_without_a_contact_whose_card_was_deleted(published):
    office = published
    delete(office, 3, "contact", PERSON)
    office.sql("update marts.crm_contacts set post = 'директор' where contact_id = ?", PERSON)
    office.push()
    office.sql(
        """insert into marts.crm_deals by name
           select * replace ('new' as deal_id) from marts.crm_deals where contact_id = ?""",
        PERSON,
    )
    office.push()
    assert office.card("deal", "new")["contactId"] in (None, 0)
    office.portal.clear_log()
    office.push()
    assert office.portal.request_log() == []


def test_retry_makes_a_deleted_company_again_with_all_that_belongs_to_it(published):
    office = published
    before = office.portal.counts()
    old = delete(office, 4, "company", FIRM)
    office.sql("update marts.crm_companies set title = title || '!'")
    office.push()
    assert retry(office, FIRM) == (0, 1)
    office.push()
    new = office.ids("company")[FIRM]
    assert new != old and deleted(office) == [] and dead_letters(office) == []
    assert office.portal.counts() == before
    deals = [card for card in office.portal.items("deal") if card["originId"] == "shop_a:0000001"]
    assert [card["companyId"] for card in deals] == [new]
    assert office.differences() == []


def test_a_plan_shows_what_retry_asked_for_just_as_the_next_push_makes_it(published):
    office = published
    delete(office, 4, "company", FIRM)
    office.sql("update marts.crm_companies set title = title || '!'")
    office.push()
    retry(office, FIRM)
    ledger = Ledger(office.connection, office.settings.portal)
    assert again.foresee(ledger, PARTS) == 1
    plan.compute(ledger, PARTS)
    planned = {part.entity: plan.count(office.connection, part.entity, "create") for part in PARTS}
    assert planned["company"] == planned["requisite"] == 1
    links = planned.pop("company_contact")  # a push counts those that travel with the card as updated
    updates = {part.entity: plan.count(office.connection, part.entity, "update") for part in PARTS}
    updates["company_contact"] += links
    result = office.push()
    assert {entity: number for entity, number in planned.items() if number} == result.created
    assert {entity: number for entity, number in updates.items() if number} == result.updated
    assert again.foresee(Ledger(office.connection, office.settings.portal), PARTS) == 0


def test_retry_takes_a_card_up_that_somebody_put_back_meanwhile(published):
    office = published
    delete(office, 3, "contact", PERSON)
    office.sql("update marts.crm_contacts set post = 'директор'")
    office.push()
    fields = {"lastName": "Петров1", "originatorId": "svod", "originId": PERSON}
    card = office.call("crm.item.add", {"entityTypeId": 3, "fields": fields})["item"]["id"]
    retry(office, PERSON)
    office.push()
    assert office.ids("contact")[PERSON] == card
    assert (office.portal.counts()["contact"], deleted(office)) == (8, [])
    assert office.card("contact", PERSON)["post"] == "директор"


def test_retry_leaves_a_strangers_card_alone_that_got_the_number_of_ours_in_a_portal_put_back(published, tmp_path):
    office = published
    office.portal.copy_to(tmp_path / "portal.sqlite")
    marts.fill(office.connection, 5, 8, 4)
    office.push()
    firm = "c-0000000000000004"
    number = delete(office, 4, "company", firm)
    office.sql("update marts.crm_companies set title = title || '!'")
    office.push()
    assert deleted(office) == [("company", firm)]
    office.swap_portal(tmp_path / "portal.sqlite")
    stranger = office.call("crm.item.add", {"entityTypeId": 4, "fields": {"title": "Чужая компания"}})["item"]
    assert stranger["id"] == number
    retry(office, firm)
    office.push()
    office.sql("update marts.crm_companies set title = title || '!'")
    office.push()
    assert office.ids("company")[firm] != number
    there = office.call("crm.item.get", {"entityTypeId": 4, "id": number})["item"]
    assert there | {"updatedTime": ""} == stranger | {"updatedTime": ""}
    owners = [row["ENTITY_ID"] for row in office.call("crm.requisite.list", {"filter": {"ENTITY_TYPE_ID": 4}})]
    assert str(number) not in map(str, owners)


def test_retry_leaves_a_strangers_requisite_alone_that_got_the_number_of_ours_in_a_portal_put_back(published, tmp_path):
    office = published
    office.portal.copy_to(tmp_path / "portal.sqlite")
    marts.fill(office.connection, 5, 8, 4)
    office.push()
    firm = "c-0000000000000004"
    number = office.ids("requisite")[firm]
    office.call("crm.requisite.delete", {"id": number})
    office.sql("update marts.crm_companies set requisite_name = requisite_name || '!'")
    office.push()
    assert deleted(office) == [("requisite", firm)]
    office.swap_portal(tmp_path / "portal.sqlite")
    card = office.call("crm.item.add", {"entityTypeId": 4, "fields": {"title": "Чужая компания"}})["item"]["id"]
    fields = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": card, "PRESET_ID": 1, "NAME": "Чужие", "RQ_INN": "7707083893"}
    assert office.call("crm.requisite.add", {"fields": fields}) == number
    retry(office, firm)
    office.push()
    office.push()
    assert office.call("crm.requisite.get", {"id": number})["NAME"] == "Чужие"
    assert office.ids("requisite")[firm] != number


def test_a_company_whose_card_was_joined_with_another_goes_on_on_that_one(published):
    office = published
    inn = "7707083893"
    theirs = type_in(office, inn, title="Набрана руками")
    office.sql("update marts.crm_companies set inn = ? where company_id = ?", inn, FIRM)
    office.push()
    assert office.sql("select origin_id from sync.adoption_duplicates") == [(FIRM,)]
    delete(office, 4, "company", FIRM)  # as joining does, and the person keeps the card that was typed in
    office.sql("update marts.crm_companies set title = 'ООО Новое', order_count = 99 where company_id = ?", FIRM)
    office.sql(
        """insert into marts.crm_deals by name
           select * replace ('new' as deal_id) from marts.crm_deals where company_id = ?""",
        FIRM,
    )
    office.push()
    office.push()
    assert (deleted(office), dead_letters(office)) == ([], [])
    assert office.ids("company")[FIRM] == theirs
    held = office.card("company", FIRM)
    assert (held["title"], held["UF_CRM_SVOD_ORDER_COUNT"]) == ("Набрана руками", 99)
    assert office.card("deal", "new")["companyId"] == theirs
    assert office.card("deal", "shop_a:0000001")["companyId"] == theirs
    assert (office.ids("contact")[PERSON], theirs) in office.portal.links()
    assert [row["RQ_INN"] for row in office.portal.requisites()].count(inn) == 1
    assert office.sql("from sync.adoption_duplicates") == []
    office.portal.clear_log()
    office.push()
    assert office.portal.writes() == {}
    office.sql("delete from marts.crm_company_contacts where contact_id = ? and company_id = ?", PERSON, FIRM)
    office.sql(
        """insert into marts.crm_company_contacts by name
           select company_id(2) as company_id, ? as contact_id, true as is_primary""",
        PERSON,
    )
    office.push()
    assert (office.ids("contact")[PERSON], theirs) not in office.portal.links()


def test_a_deleted_company_whose_inn_two_other_cards_have_stays_deleted(published):
    office = published
    inn = office.sql("select inn from marts.crm_companies where company_id = ?", FIRM)[0][0]
    delete(office, 4, "company", FIRM)
    for title in ("Первая", "Вторая"):
        type_in(office, inn, title=title)
    office.sql("update marts.crm_companies set title = title || '!'")
    office.push()
    assert deleted(office) == [("company", FIRM)]


def test_a_card_that_somebody_put_back_is_taken_up_by_the_next_push_that_sends(published):
    office = published
    number = delete(office, 3, "contact", PERSON)
    office.sql("update marts.crm_contacts set post = 'директор'")
    office.push()
    fields = {"lastName": "Петров1", "originatorId": "svod", "originId": PERSON}
    card = office.call("crm.item.add", {"entityTypeId": 3, "fields": fields})["item"]["id"]
    office.sql("update marts.crm_contacts set post = 'бухгалтер'")
    office.push()
    assert card != number and office.ids("contact")[PERSON] == card
    assert (office.portal.counts()["contact"], deleted(office)) == (8, [])
    assert office.card("contact", PERSON)["post"] == "бухгалтер"


def test_people_of_an_adopted_company_that_was_deleted_do_not_stop_the_push(office):
    marts.fill(office.connection, 2, 2)
    added = office.call("crm.item.add", {"entityTypeId": 4, "fields": {"title": "Ромашка"}})["item"]["id"]
    inn = office.sql("select inn from marts.crm_companies where company_id = ?", FIRM)[0][0]
    requisite = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": added, "PRESET_ID": 1, "NAME": "Реквизиты", "RQ_INN": inn}
    office.call("crm.requisite.add", {"fields": requisite})
    office.push()
    assert office.ids("company")[FIRM] == added
    delete(office, 4, "company", FIRM)
    marts.fill(office.connection, 2, 4)
    office.push()
    assert (deleted(office), dead_letters(office)) == ([("company", FIRM)], [])


def test_a_new_person_whose_only_company_was_deleted_starts_no_push(published):
    published.call("crm.item.delete", {"entityTypeId": 4, "id": published.ids("company")[marts.company_id(1)]})
    published.sql("update marts.crm_companies set title = 'ООО Новое' where company_id = company_id(1)")
    published.push()
    published.sql(
        """insert into marts.crm_contacts by name select contact_id(90) as contact_id, 'Новиков' as last_name,
               'Новиков' as card_last_name, ['+79167654321'] as phones, [] as emails, 'shop_a' as sources"""
    )
    published.sql("insert into marts.crm_company_contacts select company_id(1), contact_id(90), true")
    published.portal.clear_log()
    published.push()
    assert published.portal.request_log() == []
