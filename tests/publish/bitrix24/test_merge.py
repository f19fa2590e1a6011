"""Cards of merged records: joined by the portal, or listed once for a person."""

import pytest

from publish.change_limit import ChangeLimitReached
from tests.publish import marts


def merged_into(office, survivor: str) -> None:
    """Company 1 turned out to be another one."""
    office.sql("delete from marts.crm_companies where company_id = company_id(1)")
    office.sql("insert into marts.departed_companies values (company_id(1), 'merged', ?)", survivor)


def test_the_portal_joins_merged_cards_where_that_is_asked_for(open_office):
    office = open_office(bitrix24_merge_cards=True)
    marts.fill(office.connection, 2, 0)
    office.sql("update marts.crm_companies set title = 'ООО Василёк'")
    office.push()
    merged_into(office, marts.company_id(0))
    office.push()
    assert [item["originId"] for item in office.portal.items("company")] == [marts.company_id(0)]
    assert list(office.ids("company")) == [marts.company_id(0)]


def test_merged_cards_that_disagree_are_listed_once_and_left_to_a_person(open_office):
    office = open_office(bitrix24_merge_cards=True)
    marts.fill(office.connection, 2, 0)
    office.push()
    merged_into(office, marts.company_id(0))
    office.push()
    assert office.card("company", marts.company_id(1))["UF_CRM_SVOD_STATE"] == "merged"
    assert office.sql("select field, in_portal from sync.conflicts") == [("merge", "CONFLICT")]
    office.portal.clear_log()
    office.push()
    assert office.portal.writes() == {}


def test_merges_count_for_the_change_limit_and_are_confirmed_like_all_else(open_office):
    office = open_office(fuse_floor=5)
    marts.fill(office.connection, 40, 0)
    office.sql("update marts.crm_companies set title = 'ООО Василёк'")
    office.push()
    for n in range(1, 21):  # over years, while nobody wanted cards to be merged
        office.sql("delete from marts.crm_companies where company_id = company_id(?)", n)
        office.sql("insert into marts.departed_companies values (company_id(?), 'merged', company_id(0))", n)
    office.push(let_through=True)
    office.sql("update marts.crm_companies set title = 'ООО Ромашка' where company_id = company_id(30)")
    office.settings = office.settings.model_copy(update={"bitrix24_merge_cards": True})
    office.portal.clear_log()
    with pytest.raises(ChangeLimitReached, match="company 21 of 40") as stopped:
        office.push()
    assert stopped.value.details[0] == "company, 40 published: update 1, merge 20"
    assert office.portal.writes() == {}
    office.push(let_through=True)
    assert len(office.portal.items("company")) == 20


def test_a_push_with_nothing_but_a_merge_to_send_sends_it(open_office):
    office = open_office()
    marts.fill(office.connection, 2, 0)
    office.sql("update marts.crm_companies set title = 'ООО Василёк'")
    office.push()
    merged_into(office, marts.company_id(0))
    office.push()
    office.push(bitrix24_merge_cards=True)
    assert len(office.portal.items("company")) == 1
