"""Looking up by phone and e-mail, and merging."""

PHONE = {"typeId": "PHONE", "valueType": "WORK", "value": "+7 (495) 123-45-67"}


def find(client, kind, values, **more):
    return client.result("crm.duplicate.findbycomm", type=kind, values=values, **more)


def test_a_phone_is_found_however_it_is_written(client):
    contact_id = client.add(3, name="Анна", fm=[PHONE])["id"]
    company_id = client.add(4, title="ООО", fm=[PHONE | {"value": "8 495 123-45-67 доб. 12"}])["id"]
    assert find(client, "PHONE", ["84951234567"]) == {"CONTACT": [contact_id], "COMPANY": [company_id]}
    assert find(client, "PHONE", ["+74951234567"], entity_type="COMPANY") == {"COMPANY": [company_id]}


def test_nothing_found_is_an_empty_list(client):
    assert find(client, "EMAIL", ["a@example.ru"]) == []


def test_no_more_than_20_of_a_kind_and_then_no_other_kind(client):
    data = [{"name": f"Анна {n}", "EMAIL": [{"VALUE": "Shared@Example.ru"}]} for n in range(20)]
    client.result("crm.item.batchImport", entityTypeId=3, data=data)
    client.add(3, name="Ещё одна", fm=[{"typeId": "EMAIL", "value": "shared@example.ru"}])
    client.add(4, title="ООО", fm=[{"typeId": "EMAIL", "value": "shared@example.ru"}])
    found = find(client, "EMAIL", ["shared@example.ru"])
    assert list(found) == ["CONTACT"] and len(found["CONTACT"]) == 20


def test_only_the_first_20_values_are_looked_at(client):
    client.add(3, name="Анна", fm=[{"typeId": "EMAIL", "value": "last@example.ru"}])
    values = [f"{n}@example.ru" for n in range(20)] + ["last@example.ru"]
    assert find(client, "EMAIL", values) == []


def test_errors_of_the_search(client):
    assert client.error("crm.duplicate.findbycomm", values=["1"])[0] == 400
    assert client.error("crm.duplicate.findbycomm", type="PHONE")[0] == 400
    assert client.error("crm.duplicate.findbycomm", type="FAX", values=["1"])[0] == 400


def merge(client, ids, type_id=4):
    return client.result("crm.entity.mergeBatch", params={"entityTypeId": type_id, "entityIds": ids})


def test_the_first_card_takes_over_what_the_second_knows(client, sandbox):
    kept = client.add(4, title="ООО Ромашка")["id"]
    going, _ = client.company_with_requisite(fm=[PHONE], comments="Из второй базы")
    contact_id = client.add(3, name="Анна", companyId=going)["id"]
    deal_id = client.add(2, title="Заказ", companyId=going)["id"]
    assert merge(client, [kept, going]) == {"STATUS": "SUCCESS", "ENTITY_IDS": [going]}
    after = client.get(4, kept)
    assert (after["comments"], after["fm"][0]["value"]) == ("Из второй базы", PHONE["value"])
    assert sandbox.portal.links() == {(contact_id, kept)}
    assert sandbox.portal.requisites()[0]["ENTITY_ID"] == kept
    assert client.get(2, deal_id)["companyId"] == kept
    assert client.error("crm.item.get", entityTypeId=4, id=going) == (400, "NOT_FOUND")


def test_a_disagreement_is_for_a_person(client, sandbox):
    first, second = (client.add(4, title=name)["id"] for name in ("ООО Ромашка", "ООО Василёк"))
    assert merge(client, [first, second])["STATUS"] == "CONFLICT"
    assert sandbox.portal.counts()["company"] == 2


def test_errors_of_the_merge(client):
    only = client.add(4, title="ООО")["id"]
    for params in (
        {},
        {"entityTypeId": 4},
        {"entityTypeId": 4, "entityIds": [only]},
        {"entityTypeId": 4, "entityIds": [only, 9]},
    ):
        assert client.error("crm.entity.mergeBatch", params=params) == (400, 0)
