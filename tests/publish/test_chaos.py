"""A small chaos run; the large one is `make chaos`."""

from tests import chaos


def test_kills_at_random_moments_lose_and_duplicate_nothing(tmp_path):
    outcome = chaos.run(200, 400, 12, seed=20261122, fault_rate=0.05, folder=tmp_path)
    assert outcome.differences == []
    assert outcome.kills == 12
    assert outcome.with_open_intents > 0
    assert outcome.faults > 0
