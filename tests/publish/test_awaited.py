"""A first load under the registry's quota: day after day more of what was awaited, and nothing to confirm."""

import pytest

from ingest.warehouse.errors import OperatorError
from publish.awaited import awaited_creates
from tests.publish import marts
from tests.publish.conftest import Office


def full_pass(office: Office, companies: int, *, waiting: int) -> None:
    """The models' pass after which so many companies are published and so many wait for a verdict."""
    marts.fill(office.connection, companies, companies, companies)
    office.sql(
        """insert into ops.mart_sizes (mart, row_count, awaited_growth, period_start, run_id, measured_at)
           values ('crm_companies', ?, ?, '2025-01-01', 'test', now() at time zone 'UTC')""",
        companies,
        1 + waiting / companies,
    )


def test_each_day_what_was_answered_comes_without_a_confirmation(open_office):
    office = open_office(fuse_floor=3)
    for day in range(1, 6):
        full_pass(office, 20 * day, waiting=100 - 20 * day)
        office.push()
        assert len(office.portal.items("company")) == len(office.portal.items("deal")) == 20 * day
        assert office.differences() == []
    full_pass(office, 140, waiting=0)
    with pytest.raises(OperatorError, match="SVOD_FUSE_SHARE"):  # nobody waited any more
        office.push()


def test_changes_count_as_before_while_companies_wait(open_office):
    office = open_office(fuse_floor=3)
    full_pass(office, 20, waiting=80)
    office.push()
    office.sql("update marts.crm_companies set title = title || '!'")
    with pytest.raises(OperatorError, match="20 of 20"):
        office.push()


def test_without_a_measure_nothing_is_awaited(warehouse):
    assert awaited_creates(warehouse, 1000) == 0
