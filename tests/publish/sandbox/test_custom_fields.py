"""Custom fields: their rules, their values in both families, and filters on them."""

import pytest


@pytest.fixture
def state(client):
    fields = {"FIELD_NAME": "SVOD_STATE", "USER_TYPE_ID": "string", "LABEL": "Состояние"}
    return client.result("crm.company.userfield.add", fields=fields)


def add(client, **fields):
    return client.result("crm.company.userfield.add", fields=fields)


@pytest.mark.usefixtures("state")
def test_the_name_gets_its_prefix_and_comes_in_two_spellings(client):
    assert client.result("crm.company.userfield.list")[0]["FIELD_NAME"] == "UF_CRM_SVOD_STATE"
    item = client.add(4, title="ООО", ufCrmSvodState="active", UF_CRM_SVOD_STATE="мимо")
    assert item["ufCrmSvodState"] == "active"
    params = {"entityTypeId": 4, "id": item["id"], "useOriginalUfNames": "Y"}
    assert client.result("crm.item.get", **params)["item"]["UF_CRM_SVOD_STATE"] == "active"
    client.result("crm.item.update", **params, fields={"UF_CRM_SVOD_STATE": "inactive", "ufCrmSvodState": "мимо"})
    assert client.result("crm.company.get", id=item["id"])["UF_CRM_SVOD_STATE"] == "inactive"
    found = client.result(
        "crm.item.list", entityTypeId=4, useOriginalUfNames="Y", filter={"=UF_CRM_SVOD_STATE": "inactive"}
    )
    assert len(found["items"]) == 1
    assert client.error("crm.item.list", entityTypeId=4, filter={"UF_CRM_SVOD_STATE": "x"}) == (
        400,
        "INVALID_ARG_VALUE",
    )


def test_numbers_in_names_keep_their_underscore(client):
    add(client, FIELD_NAME="1721244707107", USER_TYPE_ID="double")
    item = client.add(4, title="ООО", ufCrm_1721244707107="10.5")
    assert item["ufCrm_1721244707107"] == 10.5


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"FIELD_NAME": "X" * 44, "USER_TYPE_ID": "string"}, "ERROR_CORE"),
        ({"FIELD_NAME": "ПОЛЕ", "USER_TYPE_ID": "string"}, "ERROR_CORE"),
        ({"FIELD_NAME": "A", "USER_TYPE_ID": "poem"}, "ERROR_CORE"),
        ({"FIELD_NAME": "A"}, ""),
        ({"USER_TYPE_ID": "string"}, ""),
    ],
)
def test_rules_of_names_and_types(client, fields, code):
    assert client.error("crm.company.userfield.add", fields=fields) == (400, code)


@pytest.mark.usefixtures("state")
def test_a_second_field_of_the_name_is_refused(client):
    fields = {"FIELD_NAME": "SVOD_STATE", "USER_TYPE_ID": "string"}
    assert client.error("crm.company.userfield.add", fields=fields) == (400, "ERROR_CORE")
    assert client.result("crm.contact.userfield.add", fields=fields) > 0


def test_values_by_type(client):
    for name, kind in [("N", "integer"), ("D", "double"), ("DAY", "date"), ("FLAG", "boolean")]:
        add(client, FIELD_NAME=name, USER_TYPE_ID=kind)
    add(client, FIELD_NAME="MANY", USER_TYPE_ID="string", MULTIPLE="Y")
    sent = {"ufCrmN": "5", "ufCrmD": "1.5", "ufCrmDay": "2026-03-01", "ufCrmFlag": "Y", "ufCrmMany": ["а", "б"]}
    item = client.add(4, title="ООО", **sent)
    shown = {key: item[key] for key in sent}
    assert shown == {
        "ufCrmN": 5,
        "ufCrmD": 1.5,
        "ufCrmDay": "2026-03-01T03:00:00+03:00",
        "ufCrmFlag": "Y",
        "ufCrmMany": ["а", "б"],
    }
    classic = client.result("crm.company.get", id=item["id"])
    assert (classic["UF_CRM_N"], classic["UF_CRM_FLAG"], classic["UF_CRM_MANY"]) == ("5", "1", ["а", "б"])
    assert client.list(4, filter={"ufCrmMany": "б"}) and client.list(4, filter={">ufCrmN": 4})


def test_a_wrong_value_is_refused_and_a_text_for_many_too(client):
    add(client, FIELD_NAME="N", USER_TYPE_ID="integer")
    add(client, FIELD_NAME="MANY", USER_TYPE_ID="string", MULTIPLE="Y")
    params = {"entityTypeId": 4, "fields": {"title": "ООО", "ufCrmN": "пять"}}
    assert client.error("crm.item.add", **params) == (400, "CRM_FIELD_ERROR_VALUE_NOT_VALID")
    assert client.error("crm.item.add", entityTypeId=4, fields={"ufCrmMany": "один"}) == (400, "100")


def test_a_yes_no_field_is_filtered_by_one_and_zero(client):
    add(client, FIELD_NAME="FLAG", USER_TYPE_ID="boolean")
    yes, no = (client.add(4, title=name, ufCrmFlag=flag)["id"] for name, flag in (("А", "Y"), ("Б", "N")))
    assert [item["id"] for item in client.list(4, filter={"ufCrmFlag": 1})] == [yes]
    assert [item["id"] for item in client.list(4, filter={"ufCrmFlag": "Y"})] == [no]


def test_what_php_calls_empty_empties_a_field_and_a_one_is_no_yes(client):
    for name, kind in [("N", "integer"), ("FLAG", "boolean")]:
        add(client, FIELD_NAME=name, USER_TYPE_ID=kind)
    item = client.add(4, title="ООО", ufCrmN=0, ufCrmFlag="1")
    assert (item["ufCrmN"], item["ufCrmFlag"]) == (None, "N")
    assert client.update(4, item["id"], ufCrmN="0", ufCrmFlag="")["updatedTime"] == item["updatedTime"]


def test_an_update_of_one_custom_field_leaves_the_others(client):
    for name in ("A", "B"):
        add(client, FIELD_NAME=name, USER_TYPE_ID="string")
    item = client.add(4, title="ООО", ufCrmA="1", ufCrmB="2")
    after = client.update(4, item["id"], ufCrmA="")
    assert (after["ufCrmA"], after["ufCrmB"]) == (None, "2")


def test_a_deleted_field_takes_its_values_along(client, state):
    item = client.add(4, title="ООО", ufCrmSvodState="active")
    client.result("crm.company.userfield.delete", id=state)
    add(client, FIELD_NAME="SVOD_STATE", USER_TYPE_ID="string")
    assert client.result("crm.company.get", id=item["id"])["UF_CRM_SVOD_STATE"] == ""
