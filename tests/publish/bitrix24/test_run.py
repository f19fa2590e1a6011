"""What all lanes do alike: settle, and send again what turned out not to be executed."""

import pytest

from ingest.bitrix24.errors import PortalUnavailable
from tests.publish import marts


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
