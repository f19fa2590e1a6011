"""Links one by one: ours come and go, a manager's decision stays."""

import pytest

from publish.bitrix24 import links
from tests.publish import marts
from tests.publish.bitrix24.test_identity import change_all, grow, interrupt, type_in_strangers


def test_a_link_that_the_manager_removed_is_not_made_again(published):
    office, person = published, marts.contact_id(1)
    card, firm = office.ids("contact")[person], office.ids("company")[marts.company_id(1)]
    office.call("crm.contact.company.delete", {"id": card, "fields": {"COMPANY_ID": firm}})
    office.sql("update marts.crm_contacts set post = 'директор'")
    office.push()
    assert (card, firm) not in office.portal.links()


def test_a_link_to_take_away_from_a_deleted_card_is_gone_already(published):
    office = published
    office.call("crm.item.delete", {"entityTypeId": 3, "id": office.ids("contact")[marts.contact_id(0)]})
    office.sql("delete from marts.crm_company_contacts where contact_id = contact_id(0) and not is_primary")
    office.push()
    assert office.sql("select count(*) from sync.dead_letters") == [(0,)]
    office.portal.clear_log()
    office.push()
    assert office.portal.request_log() == []


def linked_twice(office) -> tuple[int, int]:
    """A link that a manager made, and that the sources bring afterwards."""
    link = office.ids("contact")[marts.contact_id(1)], office.ids("company")[marts.company_id(2)]
    office.call("crm.contact.company.add", {"id": link[0], "fields": {"COMPANY_ID": link[1]}})
    insert_link(office)
    return link


def insert_link(office) -> None:
    office.sql(
        """insert into marts.crm_company_contacts by name
           select company_id(2) as company_id, contact_id(1) as contact_id, false as is_primary"""
    )


def drop_link(office) -> None:
    office.sql("delete from marts.crm_company_contacts where company_id = company_id(2) and contact_id = contact_id(1)")


def listed(office) -> list[tuple]:
    return office.sql("select entity, origin_id, field from sync.conflicts")


def test_a_link_that_a_manager_made_before_the_sources_brought_it_stays_when_they_drop_it(published):
    office = published
    link = linked_twice(office)
    office.push()
    drop_link(office)
    office.push()
    assert link in office.portal.links()
    key = f"{marts.contact_id(1)}/{marts.company_id(2)}"
    assert listed(office) == [("company_contact", key, "*")]
    office.portal.clear_log()
    office.push()
    assert office.portal.request_log() == []


def test_a_managers_link_that_became_the_primary_one_still_is_the_managers(published):
    office = published
    link = linked_twice(office)
    office.push()
    office.sql("update marts.crm_company_contacts set is_primary = company_id = company_id(2) where contact_id = ?",
               marts.contact_id(1))  # fmt: skip
    office.push()
    drop_link(office)
    office.sql("update marts.crm_company_contacts set is_primary = true where contact_id = ?", marts.contact_id(1))
    office.push()
    assert link in office.portal.links()


def test_a_link_whose_answer_was_lost_is_ours_and_goes_when_the_sources_drop_it(published):
    office = published
    insert_link(office)
    execute, lost = office.app.state.engine.request, []

    def losing(name, params, *, fault=None):
        if not lost and any("crm.contact.company.add" in command for command in params.get("cmd", {}).values()):
            lost.append(name)
            fault = "lose_answer"
        return execute(name, params, fault=fault)

    office.app.state.engine.request = losing
    office.push()
    assert lost
    link = office.ids("contact")[marts.contact_id(1)], office.ids("company")[marts.company_id(2)]
    assert link in office.portal.links()
    drop_link(office)
    office.push()
    assert link not in office.portal.links()
    assert listed(office) == []


def test_a_link_of_a_push_that_a_put_back_warehouse_knows_nothing_of_is_ours(published, tmp_path):
    office = published
    copy = office.copy_warehouse(tmp_path / "copy.duckdb")
    insert_link(office)
    office.push()
    office.put_back_warehouse(copy)
    insert_link(office)
    office.push()
    drop_link(office)
    office.push()
    link = office.ids("contact")[marts.contact_id(1)], office.ids("company")[marts.company_id(2)]
    assert link not in office.portal.links()
    assert listed(office) == []


def test_a_link_of_a_killed_push_goes_when_the_sources_have_dropped_it_since(published, monkeypatch):
    office = published
    insert_link(office)
    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(links, "settle", interrupt)
        office.push()
    link = office.ids("contact")[marts.contact_id(1)], office.ids("company")[marts.company_id(2)]
    assert link in office.portal.links()
    drop_link(office)
    office.push()
    assert link not in office.portal.links()
    assert listed(office) == office.sql("from sync.updates_under_way") == []


def test_a_link_of_a_card_that_has_another_number_in_a_portal_put_back_goes_when_the_sources_drop_it(
    published, tmp_path
):
    """Put back to a time that was given up: the cards made then have numbers that the ledger does not know."""
    office = published
    office.portal.copy_to(tmp_path / "older.sqlite")
    grow(office, 6, 12, 6)
    office.sql(
        """insert into marts.crm_company_contacts by name
           select company_id(2) as company_id, contact_id(11) as contact_id, false as is_primary"""
    )
    change_all(office)
    office.push(let_through=True)
    office.portal.copy_to(tmp_path / "given_up.sqlite")
    office.swap_portal(tmp_path / "older.sqlite")
    type_in_strangers(office, 3)
    change_all(office)
    office.push(let_through=True)
    office.swap_portal(tmp_path / "given_up.sqlite")
    office.sql("delete from marts.crm_company_contacts where contact_id = contact_id(11) and not is_primary")
    change_all(office)
    office.push(let_through=True)
    assert office.differences() == []


def test_a_link_that_may_be_there_and_may_not_be_taken_away_goes_when_it_may(published, monkeypatch):
    office = published
    insert_link(office)
    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(links, "settle", interrupt)
        office.push()
    link = office.ids("contact")[marts.contact_id(1)], office.ids("company")[marts.company_id(2)]
    drop_link(office)
    office.faults.fail("crm.contact.company.delete", "ACCESS_DENIED", "Access denied!")
    office.push()
    assert link in office.portal.links()
    office.sql("update sync.dead_letters set next_at = last_at")
    office.push()
    assert link not in office.portal.links()
    assert office.sql("from sync.dead_letters") == office.sql("from sync.updates_under_way") == []
