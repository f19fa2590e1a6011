"""`crm.item.import` and `crm.item.batchImport`."""

import pytest

VALUE_NOT_VALID = "CRM_FIELD_ERROR_VALUE_NOT_VALID"


def import_many(client, type_id, data):
    return client.result("crm.item.batchImport", entityTypeId=type_id, data=data)["items"]


def test_imports_take_upper_case_lists_and_ignore_fm_in_silence(client, sandbox):
    sent = [
        {"name": "Анна", "PHONE": [{"VALUE": "+7495", "VALUE_TYPE": "WORK"}], "EMAIL": [{"VALUE": "a@example.ru"}]},
        {"name": "Олег", "fm": [{"typeId": "PHONE", "valueType": "WORK", "value": "+7495"}]},
    ]
    import_many(client, 3, sent)
    anna, oleg = sandbox.portal.items("contact")
    assert [(one["typeId"], one["value"]) for one in anna["fm"]] == [("PHONE", "+7495"), ("EMAIL", "a@example.ru")]
    assert oleg["fm"] == []


def test_a_bare_text_is_no_phone(client):
    fields = {"name": "Анна", "PHONE": "+7495"}
    assert client.error("crm.item.import", entityTypeId=3, fields=fields) == (400, "100")


def test_each_element_stands_for_itself_and_only_ids_come_back(client, sandbox):
    data = [{"name": "Анна"}, {"post": "без имени"}, {"name": "Олег", "EMAIL": [{"VALUE": "плохой"}]}, {"name": "Ира"}]
    items = import_many(client, 3, data)
    assert ["item" in item for item in items] == [True, False, False, True]
    assert items[1]["error"] == "CRM_FIELD_ERROR_REQUIRED"
    assert list(items[0]["item"]) == ["id"]
    assert [item["name"] for item in sandbox.portal.items("contact")] == ["Анна", "Ира"]


def test_answers_keep_the_keys_of_the_elements(client):
    items = import_many(client, 4, {"c-1": {"title": "А"}, "c-2": {"title": "Б"}})
    assert set(items) == {"c-1", "c-2"}


def test_the_21st_element_fails_the_whole_call(client, sandbox):
    data = [{"title": f"ООО {number}"} for number in range(21)]
    error = client.error("crm.item.batchImport", entityTypeId=4, data=data)
    assert error == (400, "MAX_IMPORT_BATCH_SIZE_EXCEEDED")
    assert sandbox.portal.counts()["company"] == 0
    assert len(import_many(client, 4, data[:20])) == 20


def test_a_contact_is_linked_on_import(client, sandbox):
    first, second = (client.add(4, title=name)["id"] for name in "АБ")
    import_many(client, 3, [{"name": "Анна", "companyIds": [second, first]}, {"name": "Олег", "companyId": first}])
    assert sandbox.portal.links() == {(1, first), (1, second), (2, first)}
    assert client.get(3, 1)["companyId"] == second


def test_history_is_kept_when_the_oldest_come_first(client):
    first = {"title": "А", "createdTime": "2024-01-10T10:00:00+03:00", "updatedTime": "2024-02-01T10:00:00+03:00"}
    second = {"title": "Б", "createdTime": "2024-01-11T10:00:00+00:00"}
    import_many(client, 4, [first, second])
    assert client.get(4, 1)["updatedTime"] == "2024-02-01T10:00:00+03:00"
    assert client.get(4, 2)["createdTime"] == "2024-01-11T13:00:00+03:00"


@pytest.mark.parametrize(
    "dates",
    [
        {"createdTime": "2023-12-31T00:00:00+03:00"},  # before the newest one
        {"createdTime": "2031-01-01T00:00:00+03:00"},  # in the future
        {"createdTime": "2024-06-01T00:00:00+03:00", "updatedTime": "2024-05-01T00:00:00+03:00"},
        {"createdTime": "2024-06-01T00:00:00+03:00", "movedTime": "2024-05-01T00:00:00+03:00"},
    ],
)
def test_dates_out_of_order_fail_their_element(client, dates):
    import_many(client, 2, [{"title": "А", "createdTime": "2024-01-01T00:00:00+03:00"}])
    assert import_many(client, 2, [{"title": "Б"} | dates])[0]["error"] == VALUE_NOT_VALID


def test_after_an_ordinary_item_the_past_is_closed(client):
    client.add(4, title="Введена вручную")
    item = import_many(client, 4, [{"title": "А", "createdTime": "2024-01-01T00:00:00+03:00"}])[0]
    assert item["error"] == VALUE_NOT_VALID
    assert "item" in import_many(client, 4, [{"title": "А"}])[0]


def test_inside_a_batch_a_failed_element_is_no_failed_command(client):
    answer = client.batch({"a": "crm.item.batchImport?entityTypeId=3&data[0][name]=A&data[1][post]=B"})
    assert "error" in answer["result"]["a"]["items"][1]
    assert answer["result_error"] == []
