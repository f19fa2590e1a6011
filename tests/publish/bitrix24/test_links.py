"""Links one by one: ours come and go, a manager's decision stays."""

from tests.publish import marts


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
