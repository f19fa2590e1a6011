"""INNs as people type them: read, and found in the portal whichever way they are looked for."""

from collections import defaultdict
from random import Random

import pytest
from stdnum.ru import inn as stdnum_inn

from ingest.warehouse.errors import SettingsError
from publish.bitrix24 import inns
from publish.bitrix24.inns import Inns, is_valid, pattern, readings
from tests.inns_as_typed import BESIDE_OTHER_NUMBERS, COULD_MEAN_SEVERAL, CUT_SHORT, LETTER_O, READ_AS
from tests.publish import marts
from tests.publish.bitrix24.test_adoption import type_in
from tests.sample_data.identifiers import Identifiers

FULL_WIDTH = "".join(chr(0xFF10 + int(digit)) for digit in "0278000229")


@pytest.mark.parametrize(("text", "inn"), READ_AS.items())
def test_an_inn_is_read_as_the_models_read_it(text, inn):
    assert inn in readings(text)


def test_control_digits_are_judged_as_python_stdnum_judges_them():
    rng = Random(3)
    valid = [Identifiers(rng).inn(legal=n % 2 == 0) for n in range(2_000)]
    changed = [f"{inn[:5]}{(int(inn[5]) + 1) % 10}{inn[6:]}" for inn in valid]
    assert all(map(is_valid, valid))
    assert [is_valid(inn) for inn in changed] == [stdnum_inn.is_valid(inn) for inn in changed]


@pytest.mark.parametrize("text", [278000229, ["нет", "0278000229"], FULL_WIDTH])
def test_an_inn_is_read_however_it_was_typed(text):
    assert "0278000229" in readings(text)


@pytest.mark.parametrize(
    "text", ["", None, "нет", "—", "12345", "ИНН", "1" * 40, {"VALUE": "x"}, [], True, "027800022x", *CUT_SHORT]
)
def test_a_text_that_is_no_inn_means_nothing(text):
    assert readings(text) == set()


def test_a_pattern_of_an_inn_has_anything_between_its_digits_and_no_zero_in_front():
    assert pattern("0278000229") == "%2%7%8%0%0%0%2%2%9%"


@pytest.fixture(params=["all are read", "by pattern"])
def a_way_to_look(request, office, monkeypatch):
    """An office of one company, in whose portal either few or many requisites are."""
    marts.fill(office.connection, 1, 0)
    office.sql("update marts.crm_companies set inn = '0278000229'")
    if request.param == "by pattern":
        monkeypatch.setattr(inns, "PAGE", 1)  # else it takes thousands of requisites before patterns are fewer requests
        for n in range(60):
            type_in(office, f"77010000{n:02}", title=f"Чужая {n}")
    return office


def found(office, wanted) -> dict[str, tuple[set[int], set[int]]]:
    """What an adoption asks: by INN, the cards that hold it and those that mention it."""
    office.portal.clear_log()
    answer = office.ask(lambda client: Inns(client, "").found(wanted))
    commands = max(line["commands"].get("crm.requisite.list", 0) for line in office.portal.request_log())
    assert (commands > 30) == (inns.PAGE == 1), "there is a pattern for each INN, letter and foreign digit"
    return {inn: (set(cards.holders), set(cards.mentions)) for inn, cards in answer.items()}


def typed_in(office, texts) -> dict[str, set[int]]:
    """A card for each text; the cards by INN."""
    cards = defaultdict(set)
    for text, inn in texts.items():
        cards[inn].add(type_in(office, text))
    return cards


def test_a_card_is_found_however_its_inn_was_typed_and_whatever_numbers_stand_beside(a_way_to_look):
    cards = typed_in(a_way_to_look, READ_AS | BESIDE_OTHER_NUMBERS)
    assert found(a_way_to_look, cards) == {inn: (of_inn, set()) for inn, of_inn in cards.items()}


def test_a_card_that_could_mean_several_inns_mentions_ours(a_way_to_look):
    cards = typed_in(a_way_to_look, COULD_MEAN_SEVERAL)
    assert found(a_way_to_look, cards) == {inn: (set(), of_inn) for inn, of_inn in cards.items()}


@pytest.mark.parametrize("text", [f"278{LETTER_O * 3}229", "ОГРН 1027700132195; ИНН 7707083893; КПП 770701001"])
def test_a_company_is_adopted_by_an_inn_as_it_was_typed(a_way_to_look, text):
    office, inn = a_way_to_look, (READ_AS | BESIDE_OTHER_NUMBERS)[text]
    office.sql("update marts.crm_companies set inn = ?", inn)
    card = type_in(office, text)
    before = office.portal.counts()["company"]
    office.push()
    assert office.ids("company") == {marts.company_id(0): card}
    assert office.portal.counts()["company"] == before


def test_a_text_that_could_mean_several_inns_is_for_a_person_and_no_second_company_is_made(a_way_to_look):
    office, (text, inn) = a_way_to_look, next(iter(COULD_MEAN_SEVERAL.items()))
    office.sql("update marts.crm_companies set inn = ?", inn)
    card, before = type_in(office, text), office.portal.counts()["company"]
    assert office.push().duplicates == 1
    assert office.ids("company") == {} and office.portal.counts()["company"] == before
    ((found_by, cards),) = office.sql("select found_by, bitrix_ids from sync.adoption_duplicates")
    assert cards == [card] and inn in found_by and "among other numbers" in found_by
    requisite = next(row["ID"] for row in office.portal.requisites() if row["ENTITY_ID"] == card)
    office.call("crm.requisite.update", {"id": requisite, "fields": {"RQ_INN": inn}})  # the person has looked
    assert office.push().duplicates == 0
    assert office.ids("company") == {marts.company_id(0): card}


def test_an_inn_that_another_card_mentions_is_not_written_a_second_time(published):
    office = published
    key = marts.company_id(1)
    card = type_in(office, "7702070139 (бывш. 7707083893)")
    office.sql("update marts.crm_companies set inn = '7707083893' where company_id = ?", key)
    assert office.push().duplicates == 1
    assert [row["RQ_INN"] for row in office.portal.requisites()].count("7707083893") == 0
    assert office.sql("select bitrix_ids from sync.adoption_duplicates") == [([office.ids("company")[key], card],)]


def test_texts_that_are_no_inn_stop_nothing_and_adopt_nothing(a_way_to_look):
    office = a_way_to_look
    cards = [type_in(office, text) for text in ("нет", "уточнить у клиента", "7" * 30, "ИНН: 0278000230")]
    office.push()
    assert office.ids("company")[marts.company_id(0)] not in cards


class TestInTheCompanysOwnField:
    """Integrators often keep the INN in a custom field of the company, where no requisite is."""

    def field(self, office, kind: str = "string") -> None:
        office.call("crm.company.userfield.add", {"fields": {"FIELD_NAME": "INN", "USER_TYPE_ID": kind}})

    def company(self, office, value) -> int:
        fields = {"title": "Ромашка", "ufCrmInn": value}
        return office.call("crm.item.add", {"entityTypeId": 4, "fields": fields})["item"]["id"]

    @pytest.mark.parametrize(("kind", "value"), [("string", "ИНН 02 78 000229"), ("string", "278000229")])
    def test_a_company_is_adopted_by_the_field_that_is_set(self, a_way_to_look, kind, value):
        office = a_way_to_look
        self.field(office, kind)
        card = self.company(office, value)
        office.push(inn_field="UF_CRM_INN")
        assert office.ids("company") == {marts.company_id(0): card}
        (requisite,) = [row for row in office.portal.requisites() if row["ENTITY_ID"] == card]
        assert requisite["RQ_INN"] == "0278000229"
        office.portal.clear_log()
        office.push(inn_field="UF_CRM_INN")
        assert office.portal.writes() == {}

    def test_a_field_of_numbers_is_asked_for_the_number(self, a_way_to_look):
        office = a_way_to_look
        self.field(office, "double")
        card = self.company(office, 278000229)
        office.push(inn_field="UF_CRM_INN")
        assert office.ids("company") == {marts.company_id(0): card}

    def test_the_field_says_nothing_while_it_is_not_set(self, a_way_to_look):
        office = a_way_to_look
        self.field(office)
        card = self.company(office, "0278000229")
        office.push()
        assert office.ids("company")[marts.company_id(0)] != card

    def test_a_field_that_the_portal_has_not_is_an_error_that_names_those_it_has(self, a_way_to_look):
        office = a_way_to_look
        self.field(office)
        with pytest.raises(SettingsError, match="no custom field UF_CRM_INM") as error:
            office.push(inn_field="UF_CRM_INM")
        assert "UF_CRM_INN" in error.value.hint

    def test_an_inn_in_the_field_of_one_card_and_the_requisite_of_another_is_for_a_person(self, a_way_to_look):
        office = a_way_to_look
        self.field(office)
        cards = [type_in(office, "0278000229"), self.company(office, "0278000229")]
        office.push(inn_field="UF_CRM_INN")
        assert office.ids("company") == {}
        assert office.sql("select bitrix_ids from sync.adoption_duplicates") == [(cards,)]


def test_a_card_with_the_requisites_of_two_of_our_companies_is_none_of_them_for_sure(office):
    marts.fill(office.connection, 3, 0)
    first, second = (office.sql("select inn from marts.crm_companies order by inn")[n][0] for n in (1, 2))
    card = type_in(office, first)
    fields = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": card, "PRESET_ID": 1, "NAME": "Вторые", "RQ_INN": second}
    office.call("crm.requisite.add", {"fields": fields})
    office.push()
    assert card not in office.ids("company").values()
    assert office.sql("select bitrix_ids from sync.adoption_duplicates") == [([card],), ([card],)]


def test_a_bank_detail_that_a_manager_typed_in_first_is_not_added_again(published):
    office = published
    key = office.sql("select company_id from marts.crm_companies where account is null")[0][0]
    account = "40702810900000009999"
    office.call(
        "crm.requisite.bankdetail.add",
        {
            "fields": {
                "ENTITY_ID": office.ids("requisite")[key],
                "NAME": "Счёт",
                "RQ_ACC_NUM": account,
                "RQ_BIK": "044525225",
            }
        },
    )
    office.sql("update marts.crm_companies set account = ? where company_id = ?", account, key)
    office.push()
    assert [row["RQ_ACC_NUM"] for row in office.portal.bank_details()].count(account) == 1
