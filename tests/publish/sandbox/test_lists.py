"""Filters, selection, sorting and paging of list methods."""

import pytest


@pytest.fixture
def sixty(client):
    data = [[{"title": f"ООО {n:02}", "originId": f"c-{n}"} for n in range(start, start + 20)] for start in (0, 20, 40)]
    for chunk in data:
        client.result("crm.item.batchImport", entityTypeId=4, data=chunk)


@pytest.mark.usefixtures("sixty")
def test_a_page_has_50_rows_and_says_where_the_next_begins(client):
    first = client.full("crm.item.list", entityTypeId=4)
    assert (len(first["result"]["items"]), first["total"], first["next"]) == (50, 60, 50)
    second = client.full("crm.item.list", entityTypeId=4, start=first["next"])
    assert len(second["result"]["items"]) == 10 and "next" not in second


@pytest.mark.usefixtures("sixty")
def test_start_minus_one_counts_nothing_and_pages_go_by_id(client):
    seen, last = [], 0
    while True:
        page = client.full(
            "crm.item.list", entityTypeId=4, start=-1, order={"id": "ASC"}, filter={">id": last}, select=["id"]
        )
        assert page["total"] == 0 and "next" not in page
        items = page["result"]["items"]
        seen += [item["id"] for item in items]
        if len(items) < 50:
            break
        last = seen[-1]
    assert seen == list(range(1, 61))


@pytest.mark.usefixtures("sixty")
@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ({"originId": "c-7"}, 1),
        ({"@originId": ["c-1", "c-2", "нет"]}, 2),
        ({"originId": ["c-1", "c-2"]}, 2),
        ({"!@originId": ["c-1", "c-2"]}, 58),
        ({"!originId": "c-1"}, 59),
        ({"%title": "ооо 5"}, 10),
        ({"=%title": "ООО 1%"}, 10),
        ({">=id": 11, "<id": 21}, 10),
        ({"originatorId": ""}, 60),
        ({"!originatorId": ""}, 0),
        ({"0": {"logic": "OR", "0": {"originId": "c-1"}, "1": {"originId": "c-2", "id": 3}}}, 2),
        ({"logic": "OR", "0": {"id": 1}, "1": {"id": 2}}, 2),
        ([{"originId": "c-1"}], 1),
    ],
)
def test_filters_of_the_universal_list(client, criteria, found):
    assert client.full("crm.item.list", entityTypeId=4, filter=criteria)["total"] == found


def test_the_universal_list_refuses_what_it_does_not_know(client):
    for params in (
        {"filter": {"RQ_INN": "7707083893"}},
        {"filter": {"TITLE": "ООО"}},
        {"filter": {"id": "семь"}},
        {"filter": {"fm": "+7"}},
        {"order": {"TITLE": "ASC"}},
        {"order": {"id": "UP"}},
    ):
        assert client.error("crm.item.list", entityTypeId=4, **params) == (400, "INVALID_ARG_VALUE")


@pytest.mark.usefixtures("sixty")
def test_a_classic_list_ignores_an_unknown_filter_and_returns_everything(client):
    assert client.full("crm.company.list", filter={"RQ_INN": "7707083893"})["total"] == 60


def test_classic_lists_know_no_or(client):
    for name in "АБВ":
        client.add(4, title=name)
    criteria = {"LOGIC": "OR", "TITLE": "А", "ID": 2}
    assert client.result("crm.company.list", filter=criteria) == []


def test_multifields_come_only_when_asked_for(client):
    phone = {"typeId": "PHONE", "valueType": "WORK", "value": "+7495"}
    client.add(4, title="ООО", fm=[phone])
    assert "fm" not in client.list(4, select=["id", "fm"])[0]
    assert client.list(4, select=["*"])[0]["fm"][0]["value"] == "+7495"
    assert "PHONE" not in client.result("crm.company.list", select=["*"])[0]
    assert "PHONE" not in client.result("crm.company.list")[0]
    assert client.result("crm.company.list", select=["ID", "PHONE"])[0]["PHONE"][0]["VALUE"] == "+7495"


def test_a_phone_is_filtered_by_its_text_alone(client):
    client.add(3, name="Анна", fm=[{"typeId": "PHONE", "valueType": "WORK", "value": "8 (495) 123-45-67"}])
    assert client.result("crm.contact.list", filter={"PHONE": "+74951234567"}) == []
    assert len(client.result("crm.contact.list", filter={"PHONE": "8 (495) 123-45-67"})) == 1


def test_times_are_compared_whatever_zone_they_are_written_in(client, clock):
    client.add(2, title="Заказ")
    noon = client.get(2, 1)["createdTime"]
    assert client.list(2, filter={">=createdTime": noon})
    assert client.list(2, filter={"<createdTime": noon}) == []
    assert client.list(2, filter={">createdTime": "2027-01-15T07:59:59+00:00"})
    assert client.list(2, filter={">createdTime": "2027-01-15T08:00:00+00:00"}) == []


def test_selected_fields_and_order(client):
    for name in ("Б", "А"):
        client.add(4, title=name)
    found = client.list(4, select=["id", "title"], order={"title": "ASC"})
    assert found == [{"id": 2, "title": "А"}, {"id": 1, "title": "Б"}]


def test_a_selection_brings_the_named_fields_and_not_even_the_id(client):
    client.add(4, title="А")
    assert client.list(4, select=["title"]) == [{"title": "А"}]


def test_original_names_and_a_selection_lose_all_but_custom_fields(client):
    fields = {"FIELD_NAME": "SVOD_STATE", "USER_TYPE_ID": "string"}
    client.result("crm.company.userfield.add", fields=fields)
    client.add(4, title="А", ufCrmSvodState="active")
    chosen = ["id", "title", "UF_CRM_SVOD_STATE"]
    assert client.list(4, select=chosen, useOriginalUfNames="Y") == [{"UF_CRM_SVOD_STATE": "active"}]
    assert client.list(4, select=["id"], useOriginalUfNames="Y") == [[]]
    assert client.list(4, select=["id", "ufCrmSvodState"]) == [{"id": 1, "ufCrmSvodState": "active"}]
    everything = client.list(4, select=["*"], useOriginalUfNames="Y")[0]
    assert (everything["id"], everything["UF_CRM_SVOD_STATE"]) == (1, "active")
