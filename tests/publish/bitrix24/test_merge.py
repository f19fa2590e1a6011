"""Cards of merged records: joined by the portal, or listed once for a person."""

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
