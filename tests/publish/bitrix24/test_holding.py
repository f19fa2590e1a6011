"""An INN that the portal has on another card already is never written a second time."""

import pytest

from tests.publish import marts
from tests.publish.bitrix24.test_adoption import type_in

NEW = "7707083893"
LISTED = "select entity, origin_id, bitrix_ids from sync.adoption_duplicates"


@pytest.fixture
def corrected(published):
    """Company 1 gets the INN of a card that a manager has typed in since; its KPP and title change too."""
    card = type_in(published, f"ИНН {NEW[:4]} {NEW[4:]}", title="Набрана руками")
    published.sql(
        """update marts.crm_companies set inn = ?, kpp = '770702002', title = 'ООО Новое'
           where company_id = company_id(1)""",
        NEW,
    )
    published.stranger = card
    return published


def requisite(office):
    owner = office.ids("company")[marts.company_id(1)]
    return next(row for row in office.portal.requisites() if row["ENTITY_ID"] == owner)


def test_a_corrected_inn_that_another_card_has_is_held_back_and_the_rest_of_the_company_goes_on(corrected):
    office = corrected
    before = requisite(office)["RQ_INN"]
    office.push()
    held = requisite(office)
    assert (held["RQ_INN"], held["RQ_KPP"]) == (before, "770702002")
    assert office.card("company", marts.company_id(1))["title"] == "ООО Новое"
    ours = office.ids("company")[marts.company_id(1)]
    assert office.sql(LISTED) == [("requisite", marts.company_id(1), [ours, office.stranger])]


def test_an_inn_held_back_goes_out_and_leaves_the_list_once_a_person_has_joined_the_cards(corrected):
    office = corrected
    office.push()
    office.portal.clear_log()
    office.push()
    assert office.portal.writes() == {}  # it waits, and nothing is sent again
    office.call("crm.item.delete", {"entityTypeId": 4, "id": office.stranger})
    office.push()
    assert requisite(office)["RQ_INN"] == NEW
    assert office.sql(LISTED) == []
    office.portal.clear_log()
    office.push()
    assert office.portal.request_log() == []


def test_an_inn_held_back_leaves_the_list_when_the_sources_take_it_back(corrected):
    office = corrected
    before = requisite(office)["RQ_INN"]
    office.push()
    office.sql("update marts.crm_companies set inn = ? where company_id = company_id(1)", before)
    office.push()
    assert office.sql(LISTED) == []


def test_an_inn_that_nobody_else_has_is_written_at_once(published):
    office = published
    office.sql("update marts.crm_companies set inn = ? where company_id = company_id(1)", NEW)
    office.push()
    assert requisite(office)["RQ_INN"] == NEW
    assert office.sql(LISTED) == []


def test_an_inn_is_held_back_from_a_company_whose_merged_card_still_has_it(published):
    office = published
    inn = office.sql("select inn from marts.crm_companies where company_id = company_id(2)")[0][0]
    office.sql("delete from marts.crm_companies where company_id = company_id(2)")
    office.sql("insert into marts.departed_companies values (company_id(2), 'merged', company_id(1))")
    office.sql("update marts.crm_companies set inn = ? where company_id = company_id(1)", inn)
    office.push()
    assert [row["RQ_INN"] for row in office.portal.requisites()].count(inn) == 1
    ids = office.ids("company")
    assert office.sql(LISTED) == [("requisite", marts.company_id(1), [ids[marts.company_id(n)] for n in (1, 2)])]


def test_a_requisite_is_not_made_for_a_published_company_whose_inn_another_card_has_got_since(office):
    marts.fill(office.connection, 2, 0)
    office.faults.fail("crm.requisite.add", "", "PRESET_ID is not defined or invalid.", times=2)
    office.push()
    assert office.portal.requisites() == []
    inn = office.sql("select inn from marts.crm_companies where company_id = company_id(1)")[0][0]
    stranger = type_in(office, f" {inn}")
    office.sql("delete from sync.dead_letters")
    office.push()
    owners = {row["ENTITY_ID"] for row in office.portal.requisites()}
    ids = office.ids("company")
    assert owners == {stranger, ids[marts.company_id(0)]}
    assert office.sql(LISTED) == [("requisite", marts.company_id(1), [ids[marts.company_id(1)], stranger])]


def inns(office) -> dict[str, str]:
    """INNs in the portal by our key of the company."""
    owner = {card: key for key, card in office.ids("company").items()}
    return {owner[row["ENTITY_ID"]]: row["RQ_INN"] for row in office.portal.requisites()}


def hand_on(office, pairs: dict[int, int | str]) -> dict[str, str]:
    """The sources give companies the INN of another one, or a new one; the INNs wanted, by our key."""
    before = dict(office.sql("select company_id, inn from marts.crm_companies"))
    for n, other in pairs.items():
        inn = other if isinstance(other, str) else before[marts.company_id(other)]
        office.sql("update marts.crm_companies set inn = ? where company_id = ?", inn, marts.company_id(n))
    return dict(office.sql("select company_id, inn from marts.crm_companies"))


@pytest.mark.parametrize(
    "pairs",
    [{1: 2, 2: NEW}, {1: 2, 2: 3, 3: NEW}, {1: 2, 2: 1}, {1: 2, 2: 3, 3: 1}, {0: 1, 1: 0, 2: 3, 3: 2}],
    ids=["a chain", "a longer chain", "two swapped", "a circle of three", "two circles"],
)
def test_inns_that_our_companies_hand_on_to_each_other_arrive_and_are_never_there_twice(published, pairs):
    office = published
    wanted = hand_on(office, pairs)
    execute, twice = office.app.state.engine.request, []

    def watching(name, params, *, fault=None):
        answer = execute(name, params, fault=fault)
        there = [row["RQ_INN"] for row in office.portal.requisites() if row["RQ_INN"]]
        twice.extend(inn for inn in there if there.count(inn) > 1)
        return answer

    office.app.state.engine.request = watching
    office.push(let_through=True)
    assert inns(office) == wanted
    assert (twice, office.sql(LISTED)) == ([], [])
    office.portal.clear_log()
    office.push()
    assert office.portal.request_log() == []


def test_an_inn_that_our_other_card_does_not_let_go_of_is_listed_in_words_of_its_own(published):
    office = published
    hand_on(office, {1: 2, 2: NEW})
    stranger = type_in(office, NEW)
    office.push()
    ids = [office.ids("company")[marts.company_id(n)] for n in (1, 2)]
    listed = office.sql("select bitrix_ids, found_by from sync.adoption_duplicates order by origin_id")
    assert [cards for cards, _ in listed] == [ids, [ids[1], stranger]]
    assert "has not left yet" in listed[0][1] and "a second time" in listed[1][1]


@pytest.fixture
def retyped(open_office):
    """The INN is the source's. A manager typed over ours of company 1, and typed it in for a new company."""
    office = open_office(field_owners={"requisite.RQ_INN": "source"})
    marts.fill(office.connection, 4, 0)
    office.push()
    office.inn = requisite(office)["RQ_INN"]
    office.call("crm.requisite.update", {"id": requisite(office)["ID"], "fields": {"RQ_INN": "5001007322"}})
    office.stranger = type_in(office, office.inn)
    return office


def test_an_inn_of_the_sources_that_another_card_has_got_is_not_written_with_another_change(retyped):
    office = retyped
    office.sql("update marts.crm_companies set kpp = '770702002' where company_id = company_id(1)")
    office.push()
    held = requisite(office)
    assert (held["RQ_INN"], held["RQ_KPP"]) == ("5001007322", "770702002")
    ours = office.ids("company")[marts.company_id(1)]
    assert office.sql(LISTED) == [("requisite", marts.company_id(1), [ours, office.stranger])]
    office.call("crm.item.delete", {"entityTypeId": 4, "id": office.stranger})
    office.push()
    assert requisite(office)["RQ_INN"] == office.inn
    assert office.sql(LISTED) == []


def test_an_inn_held_back_is_not_written_over_with_the_one_before(retyped):
    office = retyped
    type_in(office, NEW)
    office.sql("update marts.crm_companies set inn = ? where company_id = company_id(1)", NEW)
    office.push()
    assert requisite(office)["RQ_INN"] == "5001007322"
