"""What a whole reading of a portal asks for: users and rights, activities, comments, product rows, files, counters."""

import base64

import pytest

from publish.sandbox import create_app


@pytest.fixture
def deal(client):
    return client.add(2, title="Заказ")["id"]


def hidden_funnel(sandbox, client, **rights):
    funnel = client.result("crm.category.add", entityTypeId=2, fields={"name": "Тайная"})["category"]["id"]
    deal = client.add(2, title="Тайный заказ", categoryId=funnel)["id"]
    sandbox.portal.set_rights(hidden_funnels=[funnel], **rights)
    return funnel, deal


def test_lists_leave_out_the_deals_of_a_hidden_funnel_and_the_funnel_without_a_word(sandbox, client, deal):
    funnel, secret = hidden_funnel(sandbox, client)
    assert [item["id"] for item in client.list(2)] == [deal]
    assert client.full("crm.item.list", entityTypeId=2)["total"] == 1
    assert [item["ID"] for item in client.result("crm.deal.list")] == [str(deal)]
    funnels = client.result("crm.category.list", entityTypeId=2)["categories"]
    assert funnel not in {found["id"] for found in funnels}
    assert client.error("crm.item.get", entityTypeId=2, id=secret) == (400, "ACCESS_DENIED")
    rows = {"=ownerType": "D", "=ownerId": [deal, secret]}
    assert client.error("crm.item.productrow.list", filter=rows) == (400, "ACCESS_DENIED")
    comments = {"ENTITY_TYPE": "deal", "ENTITY_ID": secret}
    assert client.error("crm.timeline.comment.list", filter=comments) == (400, "")


def test_a_portal_may_count_what_its_lists_leave_out(sandbox, client, deal):
    hidden_funnel(sandbox, client, counts_hidden=True)
    page = client.full("crm.item.list", entityTypeId=2)
    assert ([item["id"] for item in page["result"]["items"]], page["total"]) == ([deal], 2)


def test_who_is_no_administrator_is_told_so_and_sees_no_templates(sandbox, client):
    assert client.result("user.admin") is True
    sandbox.portal.set_rights(is_admin=False)
    assert client.result("user.admin") is False
    assert client.error("bizproc.workflow.template.list") == (403, "ACCESS_DENIED")


def test_users_are_filtered_and_come_with_their_addresses(sandbox, client):
    sandbox.portal.set_user(7, NAME="Анна", EMAIL="anna@example.com")
    page = client.full("user.get", FILTER={">ID": 1}, ADMIN_MODE="Y")
    assert ([user["EMAIL"] for user in page["result"]], page["total"]) == (["anna@example.com"], 1)


def test_methods_outside_the_scopes_of_the_webhook_are_refused_and_brief_users_have_no_address(sandbox, client):
    sandbox.start_over(scopes=["user_brief"])
    assert client.error("bizproc.workflow.template.list") == (403, "insufficient_scope")
    assert "EMAIL" not in client.result("user.get")[0] and client.result("user.get")[0]["ID"] == "1"


def test_an_activity_shows_its_partners_and_files_only_when_they_are_named(client, deal):
    contact = client.add(3, name="Анна")["id"]
    fields = {"OWNER_TYPE_ID": 2, "OWNER_ID": deal, "TYPE_ID": 2, "SUBJECT": "Звонок", "RESPONSIBLE_ID": 1}
    fields |= {"COMMUNICATIONS": [{"VALUE": "+7", "ENTITY_ID": contact, "ENTITY_TYPE_ID": 3}]}
    fields |= {"FILES": [["запись.txt", base64.b64encode(b"hello").decode()]]}
    activity = client.result("crm.activity.add", fields=fields)
    plain = client.result("crm.activity.list", select=["*"])[0]
    assert not {"COMMUNICATIONS", "FILES"} & plain.keys()
    named = client.result("crm.activity.list", select=["ID", "COMMUNICATIONS", "FILES"])[0]
    assert named["COMMUNICATIONS"][0]["VALUE"] == "+7" and len(named["FILES"]) == 1
    bindings = client.result("crm.activity.binding.list", activityId=activity)
    assert bindings == [{"entityTypeId": 2, "entityId": deal}, {"entityTypeId": 3, "entityId": contact}]


def test_product_rows_want_their_owners_and_come_for_many_at_once(client, deal):
    other = client.add(2, title="Ещё")["id"]
    for owner, price in ((deal, 10), (other, 20)):
        rows = [{"productName": "Кабель", "price": price, "quantity": 2}]
        client.result("crm.item.productrow.set", ownerType="D", ownerId=owner, productRows=rows)
    assert client.error("crm.item.productrow.list", filter={"=ownerType": "D"}) == (400, "INVALID_ARG_VALUE")
    found = client.result("crm.item.productrow.list", filter={"=ownerType": "D", "=ownerId": [deal, other]})
    assert [row["price"] for row in found["productRows"]] == [10, 20]
    assert client.get(2, deal)["opportunity"] == 20
    client.result("crm.item.productrow.set", ownerType="D", ownerId=deal, productRows=[{"price": 1}])
    assert [row["PRICE"] for row in client.result("crm.deal.productrows.get", id=deal)] == [1.0]


def test_a_file_of_a_card_is_downloaded_by_an_address_that_holds_the_webhook(sandbox, client):
    client.result("crm.deal.userfield.add", fields={"FIELD_NAME": "DOC", "USER_TYPE_ID": "file"})
    sent = ["договор.pdf", base64.b64encode(b"%PDF").decode()]
    item = client.result("crm.item.add", entityTypeId=2, fields={"title": "Заказ", "ufCrmDoc": sent})["item"]
    address = item["ufCrmDoc"]["urlMachine"]
    assert "/rest/1/sandbox/" in address
    assert client.http.get(sandbox.webhook.partition("/rest/")[0] + address).content == b"%PDF"
    kept = client.update(2, item["id"], title="Иначе")["ufCrmDoc"]
    assert kept["id"] == item["ufCrmDoc"]["id"]


def test_adds_and_changes_start_automation_and_imports_start_none(sandbox, client):
    sandbox.portal.add_template("DEAL", auto_execute=3)
    client.result("crm.item.import", entityTypeId=2, fields={"title": "Заказ"})
    assert sandbox.portal.automation_started() == 0
    deal = client.add(2, title="Заказ")["id"]
    client.update(2, deal, title="Заказ")  # nothing changes
    client.update(2, deal, title="Иначе")
    assert sandbox.portal.automation_started() == 2
    assert sandbox.portal.stats()["automation"] == 2


def test_comments_want_their_card_and_move_the_time_of_its_last_activity(client, clock, deal):
    before = client.get(2, deal)
    clock.turn(60)
    client.result("crm.timeline.comment.add", fields={"ENTITY_TYPE": "deal", "ENTITY_ID": deal, "COMMENT": "Да"})
    after = client.get(2, deal)
    assert after["lastActivityTime"] > before["lastActivityTime"] and after["updatedTime"] == before["updatedTime"]
    assert client.error("crm.timeline.comment.list", filter={"ENTITY_TYPE": "deal"}) == (400, "")


def test_requisite_links_are_filtered_by_their_card(client):
    company, requisite = client.company_with_requisite()
    deals = [client.add(2, title="Заказ", companyId=company)["id"] for _ in range(3)]
    for deal in deals:
        fields = {"ENTITY_TYPE_ID": 2, "ENTITY_ID": deal, "REQUISITE_ID": requisite, "BANK_DETAIL_ID": 0}
        fields |= {"MC_REQUISITE_ID": 0, "MC_BANK_DETAIL_ID": 0}
        client.result("crm.requisite.link.register", fields=fields)
    criteria = {"ENTITY_TYPE_ID": 2, ">ENTITY_ID": deals[0], "<=ENTITY_ID": deals[1]}
    found = client.result("crm.requisite.link.list", filter=criteria)
    assert [link["ENTITY_ID"] for link in found] == [str(deals[1])]


def test_a_filled_portal_is_what_its_methods_would_have_made(sandbox, client):
    sandbox.portal.fill(every=3, company=4, contact=6, lead=2, deal=5, activity=7, comment=5, product_row=10)
    assert [item["id"] for item in client.list(2, order={"id": "ASC"})] == [1, 4, 7, 10, 13]
    contact = client.list(3, select=["*"])[0]
    assert {one["typeId"] for one in contact["fm"]} == {"PHONE", "EMAIL"} and contact["companyIds"]
    deal = client.get(2, 4)
    assert deal["companyId"] and deal["contactIds"] == [deal["contactId"]]
    assert len(client.result("crm.requisite.list", filter={"ENTITY_TYPE_ID": 4})) == 4
    assert len(client.result("crm.activity.list", filter={"OWNER_ID": 4})) == 2
    assert client.add(2, title="Заказ")["id"] == 14
    assert sandbox.portal.writes() == {"crm.item.add": 1}


def test_a_portal_starts_from_the_copy_of_another_with_everything_in_it(sandbox, client, tmp_path):
    sandbox.portal.fill(company=2, deal=2, comment=2)
    sandbox.portal.set_user(9, NAME="Пётр")
    sandbox.portal.copy_to(tmp_path / "backup.sqlite")
    restored = create_app(tmp_path / "backup.sqlite").state.portal
    for table in ("comment", "product_row", "activity"):
        assert restored.rows(table) == sandbox.portal.rows(table)
    assert restored.users() == sandbox.portal.users() and restored.items(2) == sandbox.portal.items(2)
