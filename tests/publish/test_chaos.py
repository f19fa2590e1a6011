"""A small chaos run; the large one is `make chaos`."""

from tests import chaos


def test_kills_and_all_that_goes_wrong_between_them_lose_and_duplicate_nothing(tmp_path):
    outcome = chaos.run(60, 120, 12, seed=20261122, fault_rate=0.05, folder=tmp_path)
    assert outcome.differences == []
    assert outcome.kills == 12
    assert outcome.older_warehouses and outcome.restored_portals and outcome.people
    assert outcome.faults > 0
