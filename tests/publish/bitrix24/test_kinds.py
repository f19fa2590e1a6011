"""Commands as the methods take them, and parts in an order that works."""

import pytest

from publish.bitrix24.kinds import Catalogue
from publish.bitrix24.parts import ADDRESS, BANK_DETAIL, COMPANY, COMPANY_CONTACT, CONTACT, DEAL, PARTS, REQUISITE
from publish.parts import ValueChange


def test_phones_and_emails_are_changed_by_their_ids_and_added_under_names_of_their_own():
    values = [
        ValueChange("PHONE", "17", "+71"),
        ValueChange("PHONE", None, "+72"),
        ValueChange("EMAIL", None, "a@b.ru"),
    ]
    values.append(ValueChange("EMAIL", "18", None))
    command = CONTACT.to_update(5, {"post": None}, values)
    assert (command.method, command.params["entityTypeId"], command.params["id"]) == ("crm.item.update", 3, 5)
    assert command.params["fields"] == {
        "post": None,
        "fm": {
            "17": {"typeId": "PHONE", "valueType": "WORK", "value": "+71"},
            "n1": {"typeId": "PHONE", "valueType": "WORK", "value": "+72"},
            "n2": {"typeId": "EMAIL", "valueType": "WORK", "value": "a@b.ru"},
            "18": {"typeId": "EMAIL", "value": ""},
        },
    }


def test_a_detail_goes_by_its_id_and_an_address_by_its_owners():
    assert BANK_DETAIL.to_update(5, {"RQ_BIK": "1"}).params == {"id": 5, "fields": {"RQ_BIK": "1"}}
    owner = {"ENTITY_TYPE_ID": 8, "TYPE_ID": 6, "ENTITY_ID": 5}
    assert ADDRESS.to_update(5, {"ADDRESS_1": "М"}).params == {"fields": {**owner, "ADDRESS_1": "М"}}


def test_a_detail_is_added_to_its_owner_with_the_portals_word_for_a_choice():
    wanted = {"PRESET_ID": "COMPANY", "RQ_INN": "7700000001", "RQ_KPP": None}
    command = REQUISITE.to_add(5, wanted, {"PRESET_ID": {"COMPANY": 1}})
    fields = {"PRESET_ID": 1, "RQ_INN": "7700000001", "ENTITY_ID": 5, "ENTITY_TYPE_ID": 4}
    assert (command.method, command.params) == ("crm.requisite.add", {"fields": fields})


def test_a_card_of_another_system_keeps_its_key_and_details_have_none():
    assert COMPANY.own_key({"originId": ""}, "c-1") == {"originatorId": "svod", "originId": "c-1"}
    assert COMPANY.own_key({"originId": "1c-7"}, "c-1") == {}
    assert REQUISITE.own_key({}, "c-1") == {}


@pytest.mark.parametrize("parts", [(DEAL, COMPANY, CONTACT), (REQUISITE, COMPANY), (COMPANY, COMPANY_CONTACT, CONTACT)])
def test_a_part_stands_behind_what_it_needs(parts):
    with pytest.raises(ValueError, match="needs"):
        Catalogue(*parts)


def test_what_hangs_on_a_card_is_found_to_any_depth():
    assert [detail.entity for detail in PARTS.details_on(["company"])] == ["requisite", "bank_detail", "address"]
    assert PARTS.travelling("contact") is COMPANY_CONTACT
    assert PARTS.travelling("deal") is None
