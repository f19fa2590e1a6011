"""Cards of merged records: joined by the portal, or listed once for a person."""

from collections.abc import Callable

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


class Killed(BaseException):
    """The publisher is killed."""


def killed_at_request(office, number: int, when: str) -> Callable:
    """Have the publisher killed before or after the portal works on its n-th request of a push that changes a card."""
    execute, requests = office.app.state.engine.request, []

    def killing(name, params, *, fault=None):
        if not any(method in str(params) for method in ("crm.item.update", "crm.entity.mergeBatch")):
            return execute(name, params, fault=fault)
        requests.append(name)
        if len(requests) == number and when == "before":
            raise Killed
        answer = execute(name, params, fault=fault)
        if len(requests) == number:
            raise Killed
        return answer

    office.app.state.engine.request = killing
    return execute


@pytest.mark.parametrize("is_joined", [True, False], ids=["joined", "conflict"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 5))
def test_a_merge_survives_a_kill_at_any_request(open_office, number, when, is_joined):
    office = open_office(bitrix24_merge_cards=True)
    marts.fill(office.connection, 3, 0)
    if is_joined:
        office.sql("update marts.crm_companies set title = 'ООО Василёк'")
    office.push()
    before = office.card("company", marts.company_id(1))
    merged_into(office, marts.company_id(0))
    execute = killed_at_request(office, number, when)
    try:
        office.push()
    except Killed:
        pass
    else:
        assert is_joined and number == 4  # nothing is to be restored
    office.app.state.engine.request = execute
    result = office.push()
    assert result.notes == []
    for table in ("merges_under_way", "deletions", "updates_under_way"):
        assert office.sql(f"select count(*) from sync.{table}") == [(0,)]
    keys = sorted(card["originId"] for card in office.portal.items("company"))
    assert keys == [marts.company_id(n) for n in ((0, 2) if is_joined else (0, 1, 2))]
    assert sorted(office.ids("company")) == keys
    if not is_joined:
        card = office.card("company", marts.company_id(1))
        ours = [name for name in before if name.startswith("UF_CRM_SVOD") and name != "UF_CRM_SVOD_STATE"]
        assert [card[name] for name in ours] == [before[name] for name in ours]
        assert card["UF_CRM_SVOD_STATE"] == "merged"
    office.portal.clear_log()
    assert office.push().dead_letters == 0
    assert office.portal.writes() == {}
