"""Requisites, presets, bank details and addresses."""

import pytest

PRESETS = ["#CRM_REQUISITE_PRESET_DEF_RU_COMPANY#", "#CRM_REQUISITE_PRESET_DEF_RU_INDIVIDUAL#"]


def test_presets_are_found_by_their_code(client):
    found = client.result("crm.requisite.preset.list", filter={"XML_ID": PRESETS[1]}, select=["ID", "NAME"])
    assert found == [{"ID": "3", "NAME": "ИП"}]
    assert len(client.result("crm.requisite.preset.list", order={"SORT": "ASC"})) == 3
    fields = client.result("crm.requisite.preset.field.list", preset={"ID": 1})
    assert {"RQ_INN", "RQ_KPP", "RQ_OGRN"} <= {item["FIELD_NAME"] for item in fields}


def test_a_company_is_found_by_the_inn_of_its_requisite_and_zeros_stay(client):
    company_id, _ = client.company_with_requisite("0274062111")
    found = client.result(
        "crm.requisite.list", filter={"RQ_INN": "0274062111", "ENTITY_TYPE_ID": 4}, select=["ENTITY_ID", "RQ_INN"]
    )
    assert found == [{"ENTITY_ID": str(company_id), "RQ_INN": "0274062111"}]
    assert client.result("crm.requisite.list", filter={"@RQ_INN": ["274062111"]}) == []


def test_one_inn_may_be_there_twice(client, sandbox):
    client.company_with_requisite()
    client.company_with_requisite()
    assert [item["RQ_INN"] for item in sandbox.portal.requisites()] == ["7707083893"] * 2


@pytest.mark.parametrize(
    ("wrong", "description"),
    [
        ({"ENTITY_TYPE_ID": 2}, "ENTITY_TYPE_ID is not defined or invalid."),
        ({"ENTITY_ID": None}, "ENTITY_ID is not defined or invalid."),
        ({"ENTITY_ID": 99}, "Entity not found."),
        ({"PRESET_ID": 2}, "PRESET_ID is not defined or invalid."),
        ({"NAME": ""}, "NAME is not defined or invalid."),
    ],
)
def test_a_requisite_needs_its_owner_preset_and_name(client, wrong, description):
    company_id = client.add(4, title="ООО")["id"]
    sent = {"ENTITY_TYPE_ID": 4, "ENTITY_ID": company_id, "PRESET_ID": 1, "NAME": "Р"} | wrong
    answer = client.ask("crm.requisite.add", fields=sent)
    assert answer.status_code == 400
    assert answer.json() == {"error": "", "error_description": description}


def test_a_requisite_does_not_move(client):
    company_id, requisite_id = client.company_with_requisite()
    other = client.add(4, title="Другая")["id"]
    client.result("crm.requisite.update", id=requisite_id, fields={"ENTITY_ID": other, "PRESET_ID": 3, "RQ_KPP": "1"})
    held = client.result("crm.requisite.get", id=requisite_id)
    assert (held["ENTITY_ID"], held["PRESET_ID"], held["RQ_KPP"]) == (str(company_id), "1", "1")


def test_a_missing_requisite_is_named(client):
    for method in ("get", "update", "delete"):
        answer = client.ask(f"crm.requisite.{method}", id=57, fields={"NAME": "x"})
        assert answer.json()["error_description"] == "The Requisite with ID '57' is not found"


def test_bank_details_hang_on_the_requisite(client):
    _, requisite_id = client.company_with_requisite()
    sent = {"ENTITY_ID": requisite_id, "NAME": "Сбербанк", "RQ_BIK": "044525225", "RQ_ACC_NUM": "40702810938000060473"}
    bank_id = client.result("crm.requisite.bankdetail.add", fields=sent)
    client.result("crm.requisite.bankdetail.update", id=bank_id, fields={"RQ_BANK_NAME": "ПАО Сбербанк"})
    held = client.result("crm.requisite.bankdetail.list", filter={"ENTITY_ID": requisite_id})
    assert (held[0]["RQ_BIK"], held[0]["RQ_BANK_NAME"]) == ("044525225", "ПАО Сбербанк")
    assert client.error("crm.requisite.bankdetail.add", fields={"ENTITY_ID": 99, "NAME": "x"}) == (400, "")
    assert client.error("crm.requisite.bankdetail.add", fields={"ENTITY_ID": requisite_id}) == (400, "")
    client.result("crm.requisite.delete", id=requisite_id)
    assert client.result("crm.requisite.bankdetail.list") == []


def test_one_address_of_a_type(client):
    company_id, requisite_id = client.company_with_requisite()
    key = {"TYPE_ID": 6, "ENTITY_TYPE_ID": 8, "ENTITY_ID": requisite_id}
    assert client.result("crm.address.add", fields=key | {"ADDRESS_1": "Москва"}) is True
    assert client.ask("crm.address.add", fields=key).json()["error_description"] == "TypeAddress exists."
    client.result("crm.address.update", fields=key | {"CITY": "Москва"})
    held = client.result("crm.address.list", filter=key)
    assert [(one["ADDRESS_1"], one["CITY"], one["ANCHOR_ID"]) for one in held] == [
        ("Москва", "Москва", str(company_id))
    ]
    assert "ID" not in held[0]
    assert client.result("crm.address.add", fields=key | {"TYPE_ID": 1}) is True
    client.result("crm.address.delete", fields=key)
    assert client.ask("crm.address.delete", fields=key).json()["error_description"] == "TypeAddress not found."


def test_a_company_owns_no_address_itself(client):
    company_id, _ = client.company_with_requisite()
    key = {"TYPE_ID": 6, "ENTITY_TYPE_ID": 4, "ENTITY_ID": company_id, "ADDRESS_1": "Москва"}
    assert client.error("crm.address.add", fields=key) == (400, "")


def test_a_preset_in_use_stays(client):
    client.company_with_requisite()
    assert client.error("crm.requisite.preset.delete", id=1) == (400, "")
    assert client.result("crm.requisite.preset.delete", id=5) is True
