"""Cards of ours that the ledger has missed: a warehouse put back from an older copy creates nothing again."""

import pytest

from publish.bitrix24.catching_up import Range
from tests.publish import marts


@pytest.mark.parametrize("is_marked", [True, False])
def test_a_warehouse_put_back_from_an_older_copy_doubles_nothing(office, tmp_path, is_marked):
    if not is_marked:
        office.faults.fail("crm.company.userfield.update", "", "Access denied.", 403, times=1000)
    marts.fill(office.connection, 4, 8, 4)
    office.sql("update marts.crm_companies set account = null, legal_address = null")
    office.push()
    copy = office.copy_warehouse(tmp_path / "copy.duckdb")
    marts.fill(office.connection, 70, 160, 120)  # also new bank details and addresses of companies known before
    office.push(let_through=True)
    counts = office.portal.counts()
    office.put_back_warehouse(copy)
    marts.fill(office.connection, 70, 160, 120)
    result = office.push(let_through=True)
    assert office.portal.counts() == counts
    assert result.created == {}
    assert office.differences() == []
    assert office.sql("select count(*) from sync.conflicts") == [(0,)]


def test_cards_that_the_marts_do_not_have_yet_are_known_when_they_come_back(office, tmp_path):
    marts.fill(office.connection, 4, 8, 4)
    office.push()
    copy = office.copy_warehouse(tmp_path / "copy.duckdb")
    marts.fill(office.connection, 20, 40, 20)
    office.push(let_through=True)
    counts = office.portal.counts()
    office.put_back_warehouse(copy)
    office.sql("update marts.crm_contacts set post = 'директор' where contact_id = contact_id(1)")
    office.push()
    marts.fill(office.connection, 20, 40, 20)
    office.push(let_through=True)
    assert office.portal.counts() == counts


def test_thousands_of_cards_are_caught_up_with_few_requests(office):
    marts.fill(office.connection, 5, 3000)
    office.push()
    for n in range(400):  # numbers that are not ours in between
        office.call("crm.item.add", {"entityTypeId": 3, "fields": {"name": f"Чужой {n}"}})
    marts.fill(office.connection, 5, 3400)
    office.push(let_through=True)
    counts = office.portal.counts()
    office.sql("delete from sync.ledger")
    office.portal.clear_log()
    office.push(let_through=True)
    assert office.portal.counts() == counts
    assert office.differences() == []
    lists = [line for line in office.portal.request_log() if "crm.item.list" in line["commands"]]
    assert len(lists) <= 12


def test_a_push_killed_while_it_catches_up_begins_anew(office, tmp_path, monkeypatch):
    marts.fill(office.connection, 4, 8, 4)
    office.push()
    copy = office.copy_warehouse(tmp_path / "copy.duckdb")
    marts.fill(office.connection, 150, 300, 130)
    office.push(let_through=True)
    counts = office.portal.counts()
    office.put_back_warehouse(copy)
    marts.fill(office.connection, 150, 300, 130)
    asked = []
    execute = office.app.state.engine.request

    def dying(name, params, *, fault=None):
        asked.append(name)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return execute(name, params, fault=fault)

    office.app.state.engine.request = dying
    with pytest.raises(KeyboardInterrupt):
        office.push(let_through=True)
    office.app.state.engine.request = execute
    office.push(let_through=True)
    assert office.portal.counts() == counts
    assert office.differences() == []


def test_the_oldest_of_two_cards_with_one_key_is_ours(office):
    marts.fill(office.connection, 1, 1)
    office.push()
    card = office.ids("company")[marts.company_id(0)]
    office.call(
        "crm.item.add",
        {"entityTypeId": 4, "fields": {"title": "Копия", "originatorId": "svod", "originId": marts.company_id(0)}},
    )
    office.sql("delete from sync.ledger")
    office.push()
    assert office.ids("company") == {marts.company_id(0): card}


def test_a_range_is_halved_without_a_gap():
    first, second = Range(10, 171).halves()
    assert (first.above, first.until, second.above, second.until) == (10, 90, 90, 171)


def put_back_with_other_ids(office, tmp_path) -> None:
    """A warehouse put back to its first day; its models gave records other ids since, as another order of them does."""
    marts.fill(office.connection, 1, 0)
    office.push()
    copy = office.copy_warehouse(tmp_path / "copy.duckdb")
    marts.fill(office.connection, 2, 6, 4)
    office.sql("update marts.crm_contacts set phones = ['+74951112233', phones[1]]")  # the office's phone
    office.push(let_through=True)
    office.put_back_warehouse(copy)
    marts.fill(office.connection, 2, 6, 4)
    office.sql("update marts.crm_contacts set phones = ['+74951112233', phones[1]]")
    for mart in ("crm_companies", "crm_company_contacts", "crm_deals"):
        office.sql(f"update marts.{mart} set company_id = 'c-new' where company_id = company_id(1)")
    for mart in ("crm_contacts", "crm_company_contacts", "crm_deals"):
        office.sql(f"update marts.{mart} set contact_id = 'p-new' || contact_id[-1:] where contact_id > contact_id(1)")


def test_cards_whose_ids_the_models_gave_anew_are_known_by_inn_phone_and_name(office, tmp_path):
    put_back_with_other_ids(office, tmp_path)
    counts = office.portal.counts()
    result = office.push(let_through=True)
    assert office.portal.counts() == counts
    assert (result.created, result.duplicates) == ({}, 0)
    assert office.differences() == []
    assert office.ids("company")["c-new"] == office.card("company", "c-new")["id"]
    office.sql("update marts.crm_companies set title = 'ООО Новое' where company_id = 'c-new'")
    office.push(let_through=True)
    assert office.card("company", "c-new")["title"] == "ООО Новое"


def test_a_card_taken_in_whose_inn_was_corrected_meanwhile_gets_no_second_requisite(office, tmp_path):
    marts.fill(office.connection, 1, 0)
    office.push()
    copy = office.copy_warehouse(tmp_path / "copy.duckdb")
    marts.fill(office.connection, 3, 0)
    office.push(let_through=True)
    card = office.ids("company")[marts.company_id(2)]
    second = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": card, "PRESET_ID": 1, "NAME": "Ещё одни", "RQ_INN": "5001007322"}
    office.call("crm.requisite.add", {"fields": second})
    office.put_back_warehouse(copy)
    marts.fill(office.connection, 3, 0)
    office.sql("update marts.crm_companies set inn = '7707083893' where company_id = company_id(1)")
    office.sql("update marts.crm_companies set inn = '7736050003' where company_id = company_id(2)")
    before = office.portal.requisites()
    result = office.push(let_through=True)
    assert office.portal.requisites() == before
    assert ("requisite" in result.created, result.duplicates) == (False, 1)
    listed = office.sql("select entity, origin_id, bitrix_ids from sync.adoption_duplicates")
    assert listed == [("requisite", marts.company_id(2), [card])]
    assert office.sql("select origin_id, field, wanted from sync.conflicts where entity = 'requisite'") == [
        (marts.company_id(1), "RQ_INN", "7707083893")
    ]
    office.push(let_through=True)
    assert office.sql("select entity, origin_id, bitrix_ids from sync.adoption_duplicates") == listed
