"""How fast and with how few requests: both limits are used up and never passed."""

import pytest

from ingest.bitrix24.pacing import Pace
from publish.sandbox import Limits
from tests.publish import marts


@pytest.mark.parametrize("end", ["not_executed", "lost", "method_refused"])
def test_nothing_is_under_way_of_a_method_once_its_commands_have_ended_in_whatever_way(office, end):
    pace = Pace(2, 50, 480, office.clock)
    for _ in range(1000):
        pace.sent("crm.item.update", 20)
        getattr(pace, end)("crm.item.update", 20)
    assert pace.of("crm.item.update").in_flight == 0
    if end == "not_executed":
        assert pace.room("crm.item.update") == 480 / 0.044


def test_what_is_under_way_counts_by_what_it_costs_as_far_as_is_known_by_now(office):
    pace = Pace(2, 50, 480, office.clock)
    method, now = pace.of("crm.item.batchImport"), office.clock.time()
    for _ in range(2):
        pace.sent("crm.item.batchImport", 20)
    method.observe(now, now, operating=0.1, reset_at=0, work=0.1, elements=20)  # much cheaper than was thought
    method.observe(now, now, operating=0.2, reset_at=0, work=0.1, elements=20)
    assert method.total(now) == pytest.approx(0.2)


def test_a_command_that_takes_longer_than_the_limit_goes_alone_and_does_not_wait_for_ever(office):
    pace = Pace(2, 50, 0.5, office.clock)
    wanted = [("crm.item.batchImport", 20)] * 2
    assert pace.fits(wanted) == [True, False]
    pace.sent(*wanted[0])
    assert pace.fits(wanted) == [False, False]


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
        assert {refusal["at"] for refusal in office.portal.refused()} <= {started}  # the first answer tells
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
