"""Errors told apart: every documented code of the methods used, and everything a connection can do."""

import httpx
import pytest
from pydantic import SecretStr

from publish.bitrix24.client import Client, Command, query
from publish.bitrix24.errors import PortalError, PortalRefused, PortalUnavailable, Reaction
from publish.bitrix24.pacing import Pace
from publish.sandbox import Limits
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
    ("crm.requisite.add", "", "Access denied.", "stop"),
    ("crm.requisite.bankdetail.add", "", "ENTITY_ID is not defined or invalid.", "dead letter"),
    ("crm.requisite.bankdetail.add", "", "Access denied.", "stop"),
    ("crm.address.add", "", "ENTITY_ID is not defined or invalid.", "dead letter"),
    ("crm.address.add", "", "TypeAddress exists.", "again"),
    ("crm.address.add", "", "Access denied.", "stop"),
    ("crm.requisite.update", "", "The Requisite with ID '1' is not found", "dead letter"),
    ("crm.requisite.update", "", "Access denied.", "stop"),
    ("crm.contact.company.add", "", "Not found.", "dead letter"),
    ("crm.contact.company.add", "", "The parameter 'fields' is not valid.", "dead letter"),
    ("crm.contact.company.add", "ACCESS_DENIED", "Access denied!", "stop"),
    ("crm.contact.company.delete", "ACCESS_DENIED", "Access denied!", "stop"),
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
        assert listed == [(code, description)]
        assert result.dead_letters >= 1
        office.sql("update sync.dead_letters set next_at = now()::timestamp")
        office.push()
    assert office.sql("select count(*) from sync.dead_letters") == [(0,)]
    assert office.differences() == []


@pytest.mark.parametrize(
    "fault",
    ["refuse", "lose_answer", "half_body", "error_500", "bad_gateway", "gateway_timeout", "query_limit",
     "operation_limit", "cut"],
)  # fmt: skip
@pytest.mark.parametrize("request_number", range(2, 8))
def test_a_bad_connection_loses_and_duplicates_nothing(office, fault, request_number):
    marts.fill(office.connection, 25, 40, 30)
    office.faults.script(*[None] * request_number, fault)
    office.push()
    assert office.differences() == []
    assert office.sql("select count(*) from sync.intents") == [(0,)]


def test_a_portal_blocked_by_hand_stops_the_run_although_its_status_is_that_of_the_request_limit(office):
    marts.fill(office.connection, 2, 0)
    office.faults.script("overload")
    with pytest.raises(PortalRefused, match="OVERLOAD_LIMIT"):
        office.push()


def test_a_portal_that_stays_away_ends_the_run_with_a_hint(office):
    marts.fill(office.connection, 2, 0)
    office.faults.script(*["bad_gateway"] * 40)
    with pytest.raises(PortalUnavailable, match=r"portal\.test .* times in a row") as stopped:
        office.push()
    assert "run the same command again" in stopped.value.hint


def test_one_bad_record_does_not_hold_up_the_others(office):
    marts.fill(office.connection, 1, 60)
    office.sql("update marts.crm_contacts set emails = ['not an address'] where contact_id = contact_id(30)")
    result = office.push()
    assert office.portal.counts()["contact"] == 59
    assert result.dead_letters == 1
    assert office.sql("select origin_id, attempts from sync.dead_letters") == [(marts.contact_id(30), 1)]


def test_a_record_that_the_portal_fails_on_every_time_is_dead_lettered(office):
    marts.fill(office.connection, 1, 0)
    office.faults.fail("crm.item.batchImport", "INTERNAL_SERVER_ERROR", "Internal server error", 500, times=6)
    office.push()
    assert office.sql("select entity, error_description from sync.dead_letters") == [
        ("company", "the portal failed on it 6 times")
    ]
    office.sql("update sync.dead_letters set next_at = now()::timestamp")
    office.push()
    assert office.differences() == []


def test_a_portal_that_fails_on_everything_ends_the_run_and_dead_letters_nothing(office):
    marts.fill(office.connection, 30, 0)
    office.faults.fail("crm.item.batchImport", "INTERNAL_SERVER_ERROR", "Internal server error", 500, times=1000)
    with pytest.raises(PortalUnavailable):
        office.push()
    assert office.sql("select count(*) from sync.dead_letters") == [(0,)]


def test_dead_letters_are_tried_again_with_a_growing_delay_and_at_once_when_they_change(office):
    marts.fill(office.connection, 1, 1)
    office.sql("update marts.crm_contacts set emails = ['not an address']")
    delays = []
    for _ in range(5):
        office.push()
        delays += [row[0] for row in office.sql("select date_diff('minute', last_at, next_at) from sync.dead_letters")]
        office.portal.clear_log()
        office.push()
        assert office.portal.writes() == {}
        office.sql("update sync.dead_letters set next_at = now()::timestamp")
    assert delays == [15, 60, 240, 1440, 1440]
    office.push()
    office.sql("update marts.crm_contacts set emails = ['petrov@example.ru']")
    office.push()
    assert office.differences() == []


def test_the_secret_is_in_no_representation_and_no_error(open_office):
    office = open_office()
    webhook = SecretStr("http://portal.test/rest/1/topsecret/")
    client = Client(webhook, Pace(0, 50, 0, office.clock), transport=httpx.ASGITransport(office.app))
    with pytest.raises(PortalRefused) as refused:
        office.clock.run(client.read([Command("profile", {})]))
    assert refused.value.exit_status == 2
    assert "topsecret" not in repr(client) + repr(office.settings) + repr(refused.value) + refused.value.hint


def test_errors_are_told_apart_by_code_not_by_status():
    assert PortalError("QUERY_LIMIT_EXCEEDED", "").reaction is Reaction.LIMIT
    assert PortalError("OVERLOAD_LIMIT", "").reaction is Reaction.STOP
    assert PortalError("", "anything else").reaction is Reaction.RECORD


def test_parameters_are_encoded_as_php_reads_them():
    params = {"fields": {"title": "ООО «Р&К» +1 #2", "PHONE": [{"VALUE": "+7"}], "post": None, "UF": []}}
    assert query(params) == (
        "fields[title]=%D0%9E%D0%9E%D0%9E+%C2%AB%D0%A0%26%D0%9A%C2%BB+%2B1+%232"
        "&fields[PHONE][0][VALUE]=%2B7&fields[post]=&fields[UF]="
    )


class TestEconomyAndPace:
    """The standard plan on a clock that jumps: 2 requests a second, 50 at once, 480 s of work a method in 600 s."""

    def test_twenty_thousand_entities_under_the_standard_plan(self, open_office):
        office = open_office(Limits.standard())
        marts.fill(office.connection, 8000, 12000)
        started = office.clock.time()
        result = office.push()
        took = office.clock.time() - started
        assert office.differences() == []
        assert office.portal.refused() == []
        # Least requests: 20 records an import, 50 commands a request. Least time: 880 s of imports at 480 s a window.
        parts = office.portal.counts()
        commands = 1000 + parts["requisite"] + parts["bank_detail"] + parts["address"]
        assert result.requests <= 1.05 * commands / 50
        assert took <= 600 / 0.95

    def test_requests_run_at_the_rate_when_they_are_the_tighter_limit(self, open_office):
        office = open_office(Limits(rate=2, burst=50, operating_seconds=10**6), bitrix24_operating=10**6)
        marts.fill(office.connection, 2500, 0)
        started = office.clock.time()
        result = office.push()
        took = office.clock.time() - started
        assert office.portal.refused() == []
        assert took <= (result.requests - 50) / 2 / 0.95

    def test_a_slower_portal_than_expected_is_noticed_before_it_refuses(self, open_office):
        office = open_office(Limits(costs={"crm.item.batchImport": 0.15, "crm.requisite.add": 0.25}))
        marts.fill(office.connection, 1800, 2200)
        office.push()
        assert office.portal.refused() == []
        assert office.differences() == []

    def test_what_others_used_of_a_method_counts(self, open_office):
        """Another program on the same webhook has spent most of the imports' time before us."""
        office = open_office(Limits.standard())
        marts.fill(office.connection, 1500, 500)
        office.app.state.engine.meter.of("crm.item.batchImport").add(office.clock.time(), 440)
        started = office.clock.time()
        office.push()
        assert {one["at"] for one in office.portal.refused()} <= {started}  # the first answer tells
        assert office.differences() == []

    def test_a_method_without_room_does_not_hold_up_the_others(self, open_office):
        costs = {"crm.requisite.add": 4.0}
        office = open_office(Limits(costs=costs))
        marts.fill(office.connection, 200, 300)
        office.push()
        assert office.differences() == []
        imported = [line["at"] for line in office.portal.request_log() if "crm.item.batchImport" in line["commands"]]
        added = [line["at"] for line in office.portal.request_log() if "crm.requisite.add" in line["commands"]]
        assert max(imported) < min(added) + 60 < max(added)
