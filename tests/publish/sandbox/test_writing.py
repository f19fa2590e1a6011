"""What a move writes: the past of cards, activities, comments, product rows, the requisites of a deal."""

import pytest

NOT_VALID = "CRM_FIELD_ERROR_VALUE_NOT_VALID"
AGO = {"createdTime": "2024-01-10T10:00:00+03:00", "createdBy": 1}


@pytest.fixture
def contact(client):
    return client.add(3, name="Анна")["id"]


@pytest.fixture
def deal(client, contact):
    return client.add(2, title="Заказ", contactId=contact)["id"]


@pytest.fixture
def activity(deal, contact):
    """Fields of an activity, of the type and with what more is asked for."""

    def fields(type_id=2, value="+74951234567", **more):
        partner = {"VALUE": value, "ENTITY_ID": contact, "ENTITY_TYPE_ID": 3}
        needed = {"OWNER_TYPE_ID": 2, "OWNER_ID": deal, "TYPE_ID": type_id, "RESPONSIBLE_ID": 1, "SUBJECT": "Разговор"}
        return needed | {"COMMUNICATIONS": [partner]} | more

    return fields


def refused(client, method, **params):
    answer = client.ask(method, **params).json()
    return answer["error_description"]


# Cards ----------------------------------------------------------------------------------------------------------------


def test_only_an_administrator_tells_the_past_and_others_still_import(sandbox, client):
    sandbox.portal.set_rights(is_admin=False)
    assert client.error("crm.item.import", entityTypeId=1, fields=AGO) == (400, NOT_VALID)
    client.result("crm.item.import", entityTypeId=1, fields={"title": "Заявка"})
    sandbox.portal.set_rights(is_admin=True)
    assert sandbox.portal.counts()["lead"] == 1


def test_a_user_who_is_not_there_can_have_made_no_card(client):
    assert client.error("crm.item.import", entityTypeId=1, fields={"createdBy": 77}) == (400, NOT_VALID)


def test_a_deal_that_does_not_say_when_it_ends_ends_a_week_after_it_was_created(client):
    deal = client.result("crm.item.import", entityTypeId=2, fields={"title": "Заказ"} | AGO)["item"]["id"]
    assert client.get(2, deal)["begindate"][:10] == "2024-01-10"
    assert client.get(2, deal)["closedate"][:10] == "2024-01-17"


def test_rows_of_goods_replace_each_other_and_start_automation_and_the_portal_works_out_the_rest(sandbox, client, deal):
    sandbox.portal.add_template("DEAL", auto_execute=2)
    rows = [{"productName": "Кабель", "price": 10, "quantity": 2, "xmlId": "55", "measureName": "м"}]
    for _ in range(2):
        client.result("crm.item.productrow.set", ownerType="D", ownerId=deal, productRows=rows)
    (row,) = sandbox.portal.rows("product_row")
    assert (row["productName"], row["xmlId"], row["measureName"]) == ("Кабель", None, "шт")
    assert sandbox.portal.automation_started() == 2
    asked = {"ownerType": "C", "ownerId": 1, "productRows": []}
    assert client.error("crm.item.productrow.set", **asked) == (400, "ENTITY_TYPE_NOT_SUPPORTED")


# Activities -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "sent"),
    [
        ({}, 2),
        ({"DIRECTION": 2, "COMPLETED": "Y"}, 2),
        ({"DIRECTION": 1, "COMPLETED": "N"}, 2),
        ({"SETTINGS": {"DISABLE_SENDING_MESSAGE_COPY": "Y"}}, 1),
        ({"DIRECTION": 2, "COMPLETED": "N"}, 0),
    ],
)
def test_an_added_email_is_sent_with_a_copy_unless_told_otherwise(sandbox, client, activity, more, sent):
    client.result("crm.activity.add", fields=activity(4, "anna@example.ru", **more))
    assert sandbox.portal.mail_sent() == sent


def test_an_email_that_is_marked_as_completed_later_is_not_sent(sandbox, client, activity):
    letter = activity(4, "anna@example.ru", DIRECTION=2, COMPLETED="N")
    made = client.result("crm.activity.add", fields=letter)
    client.result("crm.activity.update", id=made, fields=letter | {"COMPLETED": "Y"})
    assert sandbox.portal.rows("activity")[0]["COMPLETED"] == "Y"
    assert sandbox.portal.mail_sent() == 0


def test_an_activity_is_of_its_maker_and_of_now_and_keeps_the_key_of_another_system(sandbox, client, activity):
    told = {"CREATED": "2024-01-10T10:00:00+03:00", "AUTHOR_ID": 5, "ORIGINATOR_ID": "svod", "ORIGIN_ID": "a/7"}
    client.result("crm.activity.add", fields=activity(START_TIME="2024-01-10T10:00:00+03:00", **told))
    made = sandbox.portal.rows("activity")[0]
    assert made["CREATED"] > "2027" and made["AUTHOR_ID"] == 1
    assert (made["ORIGINATOR_ID"], made["ORIGIN_ID"]) == ("svod", "a/7")
    assert made["DEADLINE"] == "2024-01-10T10:00:00+03:00"


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"SUBJECT": ""}, "The field SUBJECT is not defined or empty"),
        ({"RESPONSIBLE_ID": 0}, "The field RESPONSIBLE_ID is not defined or invalid"),
        ({"TYPE_ID": ""}, "The field TYPE_ID is not defined or invalid"),
        ({"COMMUNICATIONS": []}, "The field COMMUNICATIONS is not defined or invalid"),
        ({"COMMUNICATIONS": [{"VALUE": "+7", "ENTITY_ID": 99, "ENTITY_TYPE_ID": 3}]}, "Could not build binding"),
        ({"OWNER_ID": 99}, "Could not build binding"),
        ({"TYPE_ID": 6}, "The custom activity without provider is not supported"),
        ({"TYPE_ID": 6, "PROVIDER_ID": "REST_APP"}, "Application context required"),
        ({"TYPE_ID": 6, "PROVIDER_ID": "CONFIGURABLE"}, "Use crm.activity.configurable.add"),
        ({"PROVIDER_ID": "CRM_TODO"}, "The custom activity without provider is not supported"),
    ],
)
def test_an_activity_needs_its_fields_and_a_provider_of_the_portal(sandbox, client, activity, changed, problem):
    assert refused(client, "crm.activity.add", fields=activity() | changed).startswith(problem)
    assert sandbox.portal.rows("activity") == []


def test_a_call_has_one_partner(client, activity):
    partners = activity()["COMMUNICATIONS"] * 2
    problem = refused(client, "crm.activity.add", fields=activity(COMMUNICATIONS=partners))
    assert problem.startswith("The only one communication")
    client.result("crm.activity.add", fields=activity(1, COMMUNICATIONS=partners))


def test_an_activity_of_an_application_is_neither_changed_nor_deleted_by_a_webhook(sandbox, client, activity, deal):
    columns = {"OWNER_TYPE_ID": 2, "OWNER_ID": deal, "TYPE_ID": 6, "PROVIDER_ID": "REST_APP", "SUBJECT": "Заявка"}
    made = sandbox.portal.add_row("activity", **columns)
    assert refused(client, "crm.activity.update", id=made, fields=activity()) == "Application context required"
    assert refused(client, "crm.activity.delete", id=made) == "Application context required"


def test_a_to_do_is_on_its_card_open_until_it_is_completed_and_takes_no_key_of_another_system(sandbox, client, deal):
    due = {"deadline": "2027-01-01T10:00:00", "title": "Решить", "ORIGIN_ID": "a/7"}
    made = client.result("crm.activity.todo.add", ownerTypeId=2, ownerId=deal, responsibleId=5, **due)
    (row,) = sandbox.portal.rows("activity")
    assert (made, row["PROVIDER_ID"], row["TYPE_ID"], row["ORIGIN_ID"]) == ({"id": row["ID"]}, "CRM_TODO", 6, None)
    assert (row["SUBJECT"], row["RESPONSIBLE_ID"], row["COMPLETED"]) == ("Решить", 5, "N")
    asked = {"filter": {"OWNER_TYPE_ID": 2, "@OWNER_ID": [deal], "PROVIDER_ID": "CRM_TODO", "COMPLETED": "N"}}
    (shown,) = client.result("crm.activity.list", **asked)
    assert shown["DEADLINE"] == "2027-01-01T10:00:00+03:00"
    client.result("crm.activity.update", id=row["ID"], fields={"COMPLETED": "Y"})
    assert client.result("crm.activity.list", **asked) == []
    client.result("crm.activity.delete", id=row["ID"])
    assert sandbox.portal.rows("activity") == sandbox.portal.rows("activity_binding") == []


def test_a_to_do_needs_a_card_that_is_there_and_a_deadline(sandbox, client, deal):
    asked = {"ownerTypeId": 2, "ownerId": deal, "deadline": "2027-01-01"}
    for wrong, code in (({"deadline": "soon"}, "WRONG_DATETIME_FORMAT"), ({"ownerId": 99}, "OWNER_NOT_FOUND")):
        assert client.error("crm.activity.todo.add", **asked | wrong) == (400, code)
    assert client.error("crm.activity.todo.add", ownerTypeId=2, ownerId=deal) == (400, "100")
    assert sandbox.portal.rows("activity") == []


# Comments and requisites ----------------------------------------------------------------------------------------------


def test_a_comment_is_of_its_maker_and_of_now(sandbox, client, clock, deal):
    sent = {"ENTITY_TYPE": "deal", "ENTITY_ID": deal, "COMMENT": "Позвонить", "AUTHOR_ID": 5, "CREATED": "2024-01-10"}
    made = client.result("crm.timeline.comment.add", fields=sent)
    clock.turn(60)
    client.result("crm.timeline.comment.update", id=made, fields={"COMMENT": "Позвонил", "AUTHOR_ID": 5})
    comment = sandbox.portal.rows("comment")[0]
    assert (comment["AUTHOR_ID"], comment["COMMENT"]) == (1, "Позвонил")
    assert comment["CREATED"] > "2027"


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"COMMENT": ""}, "INVALID_ARG_VALUE"), ({"ENTITY_ID": 99}, "OWNER_NOT_FOUND")],
)
def test_a_comment_needs_a_card_and_a_text(client, deal, changed, code):
    sent = {"ENTITY_TYPE": "deal", "ENTITY_ID": deal, "COMMENT": "Позвонить"} | changed
    assert client.error("crm.timeline.comment.add", fields=sent) == (400, code)


def test_requisites_of_a_deal_are_those_of_its_client_and_of_our_own_company(sandbox, client):
    company, requisite = client.company_with_requisite()
    _, strange = client.company_with_requisite(inn="7707083894")
    _, of_ours = client.company_with_requisite(inn="7707083895", isMyCompany="Y")
    account = client.result("crm.requisite.bankdetail.add", fields={"ENTITY_ID": requisite, "NAME": "Счёт"})
    deal = client.add(2, title="Заказ", companyId=company)["id"]
    nothing = {"REQUISITE_ID": 0, "BANK_DETAIL_ID": 0, "MC_REQUISITE_ID": 0, "MC_BANK_DETAIL_ID": 0}
    of_deal = {"ENTITY_TYPE_ID": 2, "ENTITY_ID": deal}

    def problem(**parts):
        return refused(client, "crm.requisite.link.register", fields=of_deal | nothing | parts)

    assert problem(REQUISITE_ID=99) == "The Requisite with ID '99' is not found"
    assert "is not assigned to Company" in problem(REQUISITE_ID=strange)
    assert "is not assigned to your company" in problem(MC_REQUISITE_ID=strange)
    assert "is not assigned to Requisite" in problem(BANK_DETAIL_ID=account)
    left_out = refused(client, "crm.requisite.link.register", fields=of_deal | {"REQUISITE_ID": requisite})
    assert left_out == "BANK_DETAIL_ID is not defined or invalid"
    chosen = nothing | {"REQUISITE_ID": requisite, "BANK_DETAIL_ID": account, "MC_REQUISITE_ID": of_ours}
    for _ in range(2):
        client.result("crm.requisite.link.register", fields=of_deal | chosen)
    (link,) = sandbox.portal.rows("requisite_link")
    assert (link["REQUISITE_ID"], link["BANK_DETAIL_ID"], link["MC_REQUISITE_ID"]) == (requisite, account, of_ours)
