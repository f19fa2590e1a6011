"""A small chaos run, by a seed of its own each time; the large one is `make chaos`."""

import random

from tests import chaos


def test_kills_and_all_that_goes_wrong_between_them_lose_and_duplicate_nothing(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    outcome = chaos.run(60, 120, 10, seed=seed, fault_rate=0.05, folder=tmp_path)
    assert (seed, outcome.differences) == (seed, [])
    assert outcome.kills == 10
    assert outcome.older_warehouses or outcome.restored_portals
    assert outcome.people
    assert outcome.faults > 0
