"""Small chaos runs; the large one, in which a warehouse and its portals are put back in one run, is `make chaos`."""

import pytest

from tests import chaos

PORTALS = tuple(event for event in chaos.DECK if event != "put back warehouse")
WAREHOUSE = tuple(event for event in chaos.DECK if event not in ("put back portal", "swap"))


@pytest.mark.parametrize("deck", [PORTALS, WAREHOUSE], ids=["portals", "warehouse"])
def test_kills_and_all_that_goes_wrong_between_them_lose_and_duplicate_nothing(tmp_path, deck):
    outcome = chaos.run(60, 120, 10, seed=20261122, fault_rate=0.05, folder=tmp_path, deck=deck)
    assert outcome.differences == []
    assert outcome.kills == 10
    assert outcome.older_warehouses or outcome.restored_portals
    assert outcome.people
    assert outcome.faults > 0
