"""The forms parameters come in, who may call, and what is answered to the rest."""

from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from publish.sandbox import php
from tests.publish.sandbox.conftest import flat

NAMES = st.text("abcXYZ_", min_size=1, max_size=5)
LEAVES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TREES = st.recursive(
    LEAVES,
    lambda below: st.dictionaries(NAMES, below, min_size=1, max_size=3) | st.lists(below, min_size=1, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, TREES, max_size=4))
def test_nested_parameters_survive_the_query_string(params):
    assert php.parse_str(urlencode(list(flat(params, "")))) == params


def test_every_form_of_parameters_means_the_same(client, sandbox):
    brackets = {
        "entityTypeId": "4",
        "fields[title]": "Рога & копыта",
        "fields[fm][0][typeId]": "PHONE",
        "fields[fm][0][value]": "+7495",
    }
    http = client.http
    http.get("crm.item.add", params=brackets)
    http.post("crm.item.add.json", data=brackets)
    http.post("crm.item.add", files={name: (None, value) for name, value in brackets.items()})
    http.post("crm.item.add/", params=brackets)
    http.post(
        "crm.item.add",
        json={
            "entityTypeId": 4,
            "fields": {"title": "Рога & копыта", "fm": {"n0": {"typeId": "PHONE", "value": "+7495"}}},
        },
    )
    held = sandbox.portal.items("company")
    assert [(item["title"], item["fm"][0]["value"]) for item in held] == [("Рога & копыта", "+7495")] * 5


def test_json_is_read_only_under_its_content_type(client):
    answer = client.http.post("crm.item.add", content=b'{"entityTypeId": 4, "fields": {"title": "x"}}')
    assert (answer.status_code, answer.json()["error"]) == (400, "100")


def test_appended_keys_get_the_next_index(client):
    client.add(4, title="А")
    answer = client.http.get("crm.company.list", params="select[]=ID&select[]=TITLE&order[ID]=DESC")
    assert answer.json()["result"] == [{"ID": "1", "TITLE": "А"}]


def test_names_of_methods_and_of_classic_parameters_come_in_any_case(client):
    client.add(4, title="А")
    assert client.result("CRM.Company.Get", ID=1)["TITLE"] == "А"
    assert client.result("crm.company.list", FILTER={"TITLE": "Б"}) == []
    assert client.result("crm.company.list", Filter={"TITLE": "А"}, SELECT=["ID"]) == [{"ID": "1"}]


@pytest.mark.parametrize("path", ["/rest/1/wrong/server.time", "/rest/2/sandbox/server.time"])
def test_a_wrong_webhook_is_refused(sandbox, path):
    answer = httpx.get(httpx.URL(sandbox.webhook).copy_with(path=path))
    assert (answer.status_code, answer.json()["error"]) == (401, "INVALID_CREDENTIALS")


def test_no_webhook_at_all_is_no_authorization(sandbox):
    answer = httpx.get(httpx.URL(sandbox.webhook).copy_with(path="/rest/server.time"))
    assert (answer.status_code, answer.json()["error"]) == (401, "NO_AUTH_FOUND")


def test_unknown_methods_and_methods_out_of_scope_are_told_apart(client):
    assert client.error("crm.unicorn.add") == (404, "ERROR_METHOD_NOT_FOUND")
    assert client.error("tasks.task.list") == (403, "insufficient_scope")
    assert client.error("app.info") == (403, "ACCESS_DENIED")


def test_every_answer_carries_its_time(client, clock):
    times = client.full("crm.status.list")["time"]
    assert times["start"] == clock.time()
    assert times["date_start"] == "2027-01-15T11:00:00+03:00"
    assert set(times) == {
        "start", "finish", "duration", "processing", "date_start", "date_finish", "operating_reset_at", "operating",
    }  # fmt: skip


def test_what_the_portal_can_do_is_told(client):
    assert "crm.item.batchImport" in client.result("methods")
    assert client.result("method.get", name="crm.item.add") == {"isExisting": True, "isAvailable": True}
    assert "crm" in client.result("scope")
    assert client.result("profile")["ADMIN"] is True


def test_books_and_funnels(client):
    stages = client.result("crm.status.list", filter={"ENTITY_ID": "DEAL_STAGE"}, order={"SORT": "ASC"})
    assert [item["STATUS_ID"] for item in stages][:2] == ["NEW", "PREPARATION"]
    assert {item["SEMANTICS"] for item in stages if item["STATUS_ID"] in ("WON", "LOSE")} == {"S", "F"}
    funnel = client.result("crm.category.add", entityTypeId=2, fields={"name": "Опт"})["category"]["id"]
    deal = client.add(2, title="Заказ", categoryId=funnel)
    assert deal["stageId"] == f"C{funnel}:NEW"
    wrong = {"title": "Заказ", "categoryId": funnel, "stageId": "NEW"}
    assert client.error("crm.item.add", entityTypeId=2, fields=wrong) == (400, "CRM_FIELD_ERROR_VALUE_NOT_VALID")
    other = client.add(2, title="Заказ")["id"]
    assert client.update(2, other, categoryId=funnel)["stageId"] == f"C{funnel}:NEW"
    assert client.error("crm.category.delete", entityTypeId=2, id=funnel) == (400, 0)
    assert client.error("crm.category.list", entityTypeId=4) == (400, "ENTITY_TYPE_NOT_SUPPORTED")


def test_a_status_is_added_once(client):
    fields = {"ENTITY_ID": "SOURCE", "STATUS_ID": "SHOP_A", "NAME": "Магазин А"}
    status_id = client.result("crm.status.add", fields=fields)
    assert client.result("crm.status.get", id=status_id)["NAME"] == "Магазин А"
    assert client.error("crm.status.add", fields=fields) == (400, "ERROR_CORE")
    assert client.add(3, name="Анна", sourceId="SHOP_A")["sourceId"] == "SHOP_A"
