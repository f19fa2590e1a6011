"""What all lanes do alike: settle, and send again what turned out not to be executed."""

import pytest

from ingest.bitrix24.errors import PortalUnavailable
from tests.publish import marts

FAILS = ("INTERNAL_SERVER_ERROR", "Internal server error", 500)


def test_a_record_that_the_portal_fails_on_every_time_is_dead_lettered(office):
    marts.fill(office.connection, 1, 0)
    office.faults.fail("crm.item.batchImport", *FAILS, times=7)
    office.push()
    assert office.sql("select entity, error_description from sync.dead_letters") == [
        ("company", "the portal failed on it 7 times")
    ]
    office.sql("update sync.dead_letters set next_at = now()::timestamp")
    office.push()
    assert office.differences() == []


def test_records_that_the_portal_fails_on_every_time_keep_nothing_else_from_going_on(office):
    marts.fill(office.connection, 3, 6)
    office.push()
    office.sql("update marts.crm_companies set title = title || '!' where company_id < company_id(2)")
    office.sql("update marts.crm_contacts set post = 'директор'")
    office.faults.fail("crm.item.update", *FAILS, times=14)  # companies go first
    office.push()
    assert {card["post"] for card in office.portal.items("contact")} == {"директор"}
    assert office.sql("select entity, origin_id from sync.dead_letters order by 2") == [
        ("company", marts.company_id(0)),
        ("company", marts.company_id(1)),
    ]
    office.sql("update sync.dead_letters set next_at = now()::timestamp")
    office.push()
    assert office.differences() == []


def test_a_breakdown_that_is_over_in_between_dead_letters_nothing(office):
    marts.fill(office.connection, 3, 0)
    office.push()
    office.sql("update marts.crm_companies set title = title || '!'")
    office.faults.fail("crm.item.update", *FAILS, times=18)
    office.push()
    assert office.sql("select count(*) from sync.dead_letters") == [(0,)]
    assert office.differences() == []


def test_a_portal_that_fails_on_everything_ends_the_run_and_dead_letters_nothing(office):
    marts.fill(office.connection, 30, 0)
    execute = office.app.state.engine.request

    def failing_from_the_first_create_on(name, params, *, fault=None):
        if any("batchImport" in command for command in params.get("cmd", {}).values()) and not office.faults.errors:
            for method in ("crm.item.batchImport", "crm.status.list"):
                office.faults.fail(method, *FAILS, times=1000)
        return execute(name, params, fault=fault)

    office.app.state.engine.request = failing_from_the_first_create_on
    with pytest.raises(PortalUnavailable):
        office.push()
    assert office.sql("select count(*) from sync.dead_letters") == [(0,)]
