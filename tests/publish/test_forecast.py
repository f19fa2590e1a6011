"""What a plan comes to: requests and seconds, told before the first request."""

from publish import forecast, plan
from publish.bitrix24.costs import limits
from publish.bitrix24.parts import PARTS
from publish.ledger import Ledger
from tests.publish import marts

STANDARD = limits(rate=2, burst=50, operating=480)


def test_requests_and_duration_are_told_beforehand(warehouse):
    ledger = Ledger(warehouse, "portal.test")
    marts.fill(warehouse, 8000, 12000)
    plan.compute(ledger, PARTS)
    figures = forecast.summary(ledger, PARTS, STANDARD)
    assert figures.elements["crm.item.batchImport"] == 20_000
    assert figures.requests_least <= figures.requests <= figures.requests_least * 1.05
    assert figures.seconds == 600  # 880 s of imports: 480 at once, the rest when the first window is over


def test_a_plan_of_nothing_costs_nothing(warehouse):
    ledger = Ledger(warehouse, "portal.test")
    plan.compute(ledger, PARTS)
    figures = forecast.summary(ledger, PARTS, STANDARD)
    assert (figures.is_empty, figures.requests, figures.seconds) == (True, 0, 0)
