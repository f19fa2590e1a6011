"""Errors told apart: every documented code of the methods used."""

import pytest

from ingest.bitrix24.errors import PortalError, PortalRefused, Reaction
from tests.publish import marts

# Method, error code, description, what it asks of us. From "Possible Error Codes" of the methods' pages and the page of
# system errors; an empty code is what the classic methods answer.
SYSTEM = [
    ("INTERNAL_SERVER_ERROR", "Internal server error", "again"),
    ("ERROR_UNEXPECTED_ANSWER", "Server returned an unexpected response", "again"),
    ("QUERY_LIMIT_EXCEEDED", "Too many requests", "again"),
    ("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", "again"),
    ("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage", "stop"),
    ("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded", "stop"),
    ("NO_AUTH_FOUND", "Wrong authorization data", "stop"),
    ("INVALID_REQUEST", "Https required", "stop"),
    ("OVERLOAD_LIMIT", "REST API is blocked due to overload", "stop"),
    ("ACCESS_DENIED", "REST API is available only on commercial plans", "stop"),
    ("INVALID_CREDENTIALS", "Invalid request credentials", "stop"),
    ("ERROR_MANIFEST_IS_NOT_AVAILABLE", "Manifest is not available", "stop"),
    ("insufficient_scope", "The request requires higher privileges than provided by the webhook token", "stop"),
    ("expired_token", "The access token provided has expired", "stop"),
    ("user_access_error", "The user does not have access to the application", "stop"),
    ("PORTAL_DELETED", "Portal was deleted", "stop"),
    ("ERROR_METHOD_NOT_FOUND", "Method not found!", "stop"),
    ("allowed_only_intranet_user", "Action is allowed only for intranet users", "stop"),
]
METHODS = [
    ("crm.item.batchImport", "NOT_FOUND", "Smart process not found", "dead letter"),
    ("crm.item.batchImport", "CRM_FIELD_ERROR_VALUE_NOT_VALID", 'Invalid value for field "title"', "dead letter"),
    ("crm.item.batchImport", "CRM_FIELD_ERROR_REQUIRED", 'The "Name" field is required', "dead letter"),
    ("crm.item.batchImport", "100", "Expected iterable value for multiple field", "dead letter"),
    ("crm.item.batchImport", "CREATE_DYNAMIC_ITEM_RESTRICTED", "You cannot create a new item", "stop"),
    ("crm.item.batchImport", "MAX_IMPORT_BATCH_SIZE_EXCEEDED", "You cannot import more than 20 items", "stop"),
    ("crm.item.update", "NOT_FOUND", "Item not found", "dead letter"),
    ("crm.item.update", "CRM_FIELD_ERROR_VALUE_NOT_VALID", 'Invalid value for field "title"', "dead letter"),
    ("crm.item.update", "100", "Expected iterable value for multiple field", "dead letter"),
    ("crm.item.update", "", "Insufficient permissions to change the stage", "dead letter"),
    ("crm.item.update", "UPDATE_DYNAMIC_ITEM_RESTRICTED", "You cannot change the item", "stop"),
    ("crm.requisite.add", "", "ENTITY_TYPE_ID is not defined or invalid.", "dead letter"),
    ("crm.requisite.add", "", "PRESET_ID is not defined or invalid.", "dead letter"),
    ("crm.requisite.add", "", "Entity not found.", "dead letter"),
    ("crm.requisite.add", "", "Access denied.", "dead letter"),
    ("crm.requisite.bankdetail.add", "", "ENTITY_ID is not defined or invalid.", "dead letter"),
    ("crm.requisite.bankdetail.add", "", "Access denied.", "dead letter"),
    ("crm.address.add", "", "ENTITY_ID is not defined or invalid.", "dead letter"),
    ("crm.address.add", "", "TypeAddress exists.", "again"),
    ("crm.address.add", "", "Access denied.", "dead letter"),
    ("crm.requisite.update", "", "The Requisite with ID '1' is not found", "dead letter"),
    ("crm.requisite.update", "", "Access denied.", "dead letter"),
    ("crm.contact.company.add", "", "Not found.", "dead letter"),
    ("crm.contact.company.add", "", "The parameter 'fields' is not valid.", "dead letter"),
    ("crm.contact.company.add", "ACCESS_DENIED", "Access denied!", "dead letter"),
    ("crm.contact.company.delete", "ACCESS_DENIED", "Access denied!", "dead letter"),
    ("crm.company.userfield.add", "ERROR_CORE", "Field name is too long (more than 50 characters).", "stop"),
    ("crm.item.list", "INVALID_ARG_VALUE", "Invalid filter: field 'x' is not allowed in filter", "stop"),
    ("crm.requisite.list", "", "Access denied.", "stop"),
]  # fmt: skip
CASES = [
    *METHODS,
    *(("crm.item.batchImport", *case) for case in SYSTEM),
    *(("crm.item.update", *case) for case in SYSTEM if case[2] == "again"),
]


def provoke(office, method: str) -> None:
    """Bring the marts to where the next push calls the method."""
    marts.fill(office.connection, 2, 4)
    if method.endswith((".add", ".batchImport", ".list")) and method != "crm.contact.company.add":
        return
    office.push()
    if method == "crm.contact.company.add":
        office.sql("insert into marts.crm_company_contacts values (company_id(1), contact_id(2), false)")
    elif method == "crm.contact.company.delete":
        office.sql("delete from marts.crm_company_contacts where contact_id = contact_id(0) and not is_primary")
    else:
        office.sql("update marts.crm_companies set title = title || '!'")


@pytest.mark.parametrize(("method", "code", "description", "reaction"), CASES)
def test_every_documented_error_has_its_reaction(office, method, code, description, reaction):
    provoke(office, method)
    # A refused import is tried again record by record: the companies' one command and each of them alone.
    times = 3 if reaction == "dead letter" and method == "crm.item.batchImport" else 1
    office.faults.fail(method, code, description, 400, times)
    if reaction == "stop":
        with pytest.raises(Exception) as stopped:
            office.push()
        assert getattr(stopped.value, "exit_status", None) in (1, 2), stopped.value
        office.push()  # whatever it was is over: the next run completes what this one left
        assert office.differences() == []
        return
    result = office.push()
    listed = office.sql("select distinct error, error_description from sync.dead_letters")
    if reaction == "dead letter":
        assert listed == [(PortalError(code, description).name, description)]
        assert result.dead_letters >= 1
        office.sql("update sync.dead_letters set next_at = now()::timestamp")
        office.push()
    assert office.sql("select count(*) from sync.dead_letters") == [(0,)]
    assert office.differences() == []


def test_errors_are_told_apart_by_code_not_by_status():
    assert PortalError("QUERY_LIMIT_EXCEEDED", "").reaction is Reaction.LIMIT
    assert PortalError("OVERLOAD_LIMIT", "").reaction is Reaction.STOP
    assert PortalError("", "Access denied.").reaction is Reaction.RIGHTS
    assert PortalError("", "anything else").reaction is Reaction.RECORD


@pytest.mark.parametrize("cards", [1, 3])
def test_cards_that_the_webhooks_user_may_not_change_keep_nothing_else_from_going_on(office, cards):
    marts.fill(office.connection, 4, 8, 4)
    office.push()
    office.sql("update marts.crm_companies set title = title || '!' where company_id < company_id(?)", cards)
    office.sql("update marts.crm_contacts set post = 'директор'")
    office.faults.fail("crm.item.update", "ACCESS_DENIED", "Access denied", times=cards)  # companies go first
    office.push()
    assert {card["post"] for card in office.portal.items("contact")} == {"директор"}
    letters = [("company", marts.company_id(n), "ACCESS_DENIED") for n in range(cards)]
    assert office.sql("select entity, origin_id, error from sync.dead_letters order by 2") == letters
    office.sql("update sync.dead_letters set next_at = now()::timestamp")
    office.push()
    assert office.differences() == []


def test_a_user_who_may_change_no_card_of_a_kind_stops_the_push_and_nothing_is_dead_lettered(office):
    marts.fill(office.connection, 60, 0)
    office.push()
    office.sql("update marts.crm_companies set title = title || '!'")
    office.faults.fail("crm.item.update", "ACCESS_DENIED", "Access denied", times=50)
    with pytest.raises(PortalRefused, match="ACCESS_DENIED"):
        office.push(let_through=True)
    assert office.sql("select count(*) from sync.dead_letters") == [(0,)]
    office.push()
    assert office.differences() == []


def test_one_new_card_that_may_not_be_made_keeps_the_others_from_nothing(office):
    marts.fill(office.connection, 30, 0)
    office.faults.fail("crm.item.batchImport", "ACCESS_DENIED", "Access denied")  # the first of two commands
    office.push()
    assert office.differences() == []


def test_a_user_who_may_make_no_card_stops_the_push_with_the_first_of_them(office):
    marts.fill(office.connection, 1, 0)
    office.faults.fail("crm.item.batchImport", "ACCESS_DENIED", "Access denied")
    with pytest.raises(PortalRefused, match="ACCESS_DENIED"):
        office.push()
    assert office.sql("select count(*) from sync.dead_letters") == [(0,)]
