"""Cards through both families of methods: names, forms, defaults, what is refused and what is passed over."""

import pytest

PHONE = {"typeId": "PHONE", "valueType": "WORK", "value": "+74951234567"}
CLASSIC_PHONE = {"VALUE": "+74951234567", "VALUE_TYPE": "WORK"}


def phones(client, contact_id):
    return [one["value"] for one in client.get(3, contact_id)["fm"] if one["typeId"] == "PHONE"]


def test_universal_add_takes_fm_and_ignores_the_other_forms_in_silence(client):
    contact_id = client.add(3, name="Анна", fm=[PHONE])["id"]
    assert phones(client, contact_id) == ["+74951234567"]
    other_form = client.add(3, name="Анна", PHONE=[CLASSIC_PHONE])
    assert other_form["fm"] == [] and other_form["hasPhone"] == "N"


def test_classic_add_takes_lists_by_type_and_ignores_fm_in_silence(client):
    contact_id = client.result("crm.contact.add", fields={"NAME": "Анна", "PHONE": [CLASSIC_PHONE]})
    assert phones(client, contact_id) == ["+74951234567"]
    other = client.result("crm.contact.add", fields={"NAME": "Анна", "fm": [PHONE]})
    assert phones(client, other) == []


def test_a_list_in_an_universal_update_adds_the_value_again_each_time(client):
    contact_id = client.add(3, name="Анна", fm=[PHONE])["id"]
    client.update(3, contact_id, fm=[PHONE])
    assert phones(client, contact_id) == ["+74951234567", "+74951234567"]


def test_a_map_in_an_universal_update_changes_deletes_and_adds_by_key(client):
    item = client.add(3, name="Анна", fm=[PHONE, PHONE | {"value": "+74950000000"}])
    first, second = (one["id"] for one in item["fm"])
    changed = {
        str(first): {"typeId": "PHONE", "value": "+74959999999"},
        str(second): {"typeId": "PHONE", "value": ""},
        "n0": {"typeId": "EMAIL", "valueType": "WORK", "value": "a@example.ru"},
    }
    after = client.update(3, item["id"], fm=changed)["fm"]
    assert [(one["typeId"], one["value"]) for one in after] == [("PHONE", "+74959999999"), ("EMAIL", "a@example.ru")]
    assert after[0]["id"] == first


def test_a_classic_update_without_the_value_id_adds_and_with_it_changes_or_deletes(client):
    contact_id = client.result("crm.contact.add", fields={"NAME": "Анна", "PHONE": [CLASSIC_PHONE]})
    client.result("crm.contact.update", id=contact_id, fields={"PHONE": [CLASSIC_PHONE]})
    held = client.result("crm.contact.get", id=contact_id)["PHONE"]
    assert len(held) == 2
    changes = [{"ID": held[0]["ID"], "VALUE": "+7000"}, {"ID": held[1]["ID"], "DELETE": "Y"}]
    client.result("crm.contact.update", id=contact_id, fields={"PHONE": changes})
    assert phones(client, contact_id) == ["+7000"]


def test_names_of_one_family_mean_nothing_to_the_other(client):
    item = client.add(4, TITLE="ООО Ромашка", COMPANY_TYPE="SUPPLIER")
    assert item["title"] == f"Компания #{item['id']}" and item["typeId"] == "CUSTOMER"


def test_classic_answers_are_texts_and_universal_ones_numbers(client):
    deal_id = client.add(2, title="Заказ", opportunity="15320.50")["id"]
    assert client.get(2, deal_id)["opportunity"] == 15320.5
    classic = client.result("crm.deal.get", id=deal_id)
    assert (classic["ID"], classic["OPPORTUNITY"], classic["COMPANY_ID"]) == (str(deal_id), "15320.50", None)


def test_unset_book_fields_take_the_first_value_of_their_book(client):
    company = client.add(4, title="ООО Ромашка")
    assert (company["typeId"], company["industry"], company["employees"]) == ("CUSTOMER", "IT", "EMPLOYEES_1")
    assert client.add(2, title="Заказ")["stageId"] == "NEW"


@pytest.mark.parametrize(
    ("type_id", "fields"),
    [
        (4, {"title": "ООО", "typeId": "Клиент"}),
        (4, {"title": "ООО", "revenue": "много"}),
        (2, {"title": "Заказ", "stageId": "C9:NEW"}),
        (2, {"title": "Заказ", "begindate": "вчера"}),
        (2, {"title": "Заказ", "companyId": 77}),
        (3, {"name": "Анна", "companyIds": [77]}),
        (3, {"name": "Анна", "fm": [{"typeId": "EMAIL", "value": "без собаки"}]}),
    ],
)
def test_universal_add_refuses_values_its_fields_cannot_take(client, sandbox, type_id, fields):
    error = client.error("crm.item.add", entityTypeId=type_id, fields=fields)
    assert error == (400, "CRM_FIELD_ERROR_VALUE_NOT_VALID")
    assert sandbox.portal.counts()["multifield"] == 0 and sandbox.portal.items(type_id) == []


def test_universal_add_refuses_a_text_where_several_values_belong(client):
    assert client.error("crm.item.add", entityTypeId=3, fields={"name": "Анна", "companyIds": "1"}) == (400, "100")


def test_a_bad_email_fails_a_classic_record_as_a_whole(client, sandbox):
    bad = {"TITLE": "ООО", "EMAIL": [{"VALUE": "нет", "VALUE_TYPE": "WORK"}]}
    assert client.error("crm.company.add", fields=bad) == (400, "ERROR_CORE")
    assert sandbox.portal.counts()["company"] == 0


def test_a_contact_needs_a_name_and_a_company_gets_one(client):
    assert client.error("crm.item.add", entityTypeId=3, fields={"post": "директор"}) == (
        400,
        "CRM_FIELD_ERROR_REQUIRED",
    )
    assert client.result("crm.company.add", fields={}) == 1
    assert client.get(4, 1)["title"] == "Компания #1"


def test_an_universal_update_that_changes_nothing_is_not_saved(client, clock):
    item = client.add(4, title="ООО Ромашка", originId="c-1")
    clock.turn(60)
    assert client.update(4, item["id"], title="ООО Ромашка", originId="c-1")["updatedTime"] == item["updatedTime"]
    assert client.update(4, item["id"], title="ООО Василёк")["updatedTime"] > item["updatedTime"]


def test_a_classic_update_always_moves_the_modification_time(client, clock):
    item = client.add(4, title="ООО Ромашка")
    clock.turn(60)
    client.result("crm.company.update", id=item["id"], fields={"TITLE": "ООО Ромашка"})
    assert client.get(4, item["id"])["updatedTime"] > item["updatedTime"]


def test_read_only_fields_are_passed_over_outside_imports(client):
    item = client.add(4, title="ООО", createdTime="2020-01-01T00:00:00+03:00")
    assert item["createdTime"].startswith("2027-")


def test_stage_of_a_deal_decides_whether_it_is_closed(client):
    deal = client.add(2, title="Заказ", stageId="EXECUTING")
    assert (deal["closed"], deal["stageSemanticId"]) == ("N", "P")
    won = client.update(2, deal["id"], stageId="WON")
    assert (won["closed"], won["stageSemanticId"]) == ("Y", "S")


def test_nothing_is_unique(client):
    ids = {client.add(4, title="ООО", originatorId="svod", originId="c-1")["id"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.parametrize("method", ["crm.item.get", "crm.item.update", "crm.item.delete"])
def test_a_missing_item_is_not_found(client, method):
    assert client.error(method, entityTypeId=4, id=99, fields={"title": "x"}) == (400, "NOT_FOUND")


def test_an_unknown_type_is_not_found_and_a_missing_parameter_is_named(client):
    assert client.error("crm.item.add", entityTypeId=1302, fields={}) == (400, "NOT_FOUND")
    answer = client.ask("crm.item.add", entityTypeId=4)
    assert (answer.status_code, answer.json()["error"]) == (400, "100") and "fields" in answer.json()[
        "error_description"
    ]


def test_classic_methods_tell_a_missing_card_by_an_empty_code(client):
    assert client.error("crm.company.get", id=99) == (400, "")
    assert client.error("crm.contact.update", id=99, fields={"NAME": "x"}) == (400, "")
    assert client.error("crm.company.get", id=0) == (400, "")


def test_deleting_a_company_takes_its_requisites_and_leaves_its_contacts(client, sandbox):
    company_id, requisite_id = client.company_with_requisite()
    client.result("crm.requisite.bankdetail.add", fields={"ENTITY_ID": requisite_id, "NAME": "Банк"})
    address = {"TYPE_ID": 6, "ENTITY_TYPE_ID": 8, "ENTITY_ID": requisite_id, "ADDRESS_1": "Москва"}
    client.result("crm.address.add", fields=address)
    contact_id = client.add(3, name="Анна", companyId=company_id)["id"]
    assert client.result("crm.item.delete", entityTypeId=4, id=company_id) == []
    counts = sandbox.portal.counts()
    assert [counts[name] for name in ("company", "requisite", "bank_detail", "address", "contact_company")] == [0] * 5
    assert client.get(3, contact_id)["companyId"] == 0
