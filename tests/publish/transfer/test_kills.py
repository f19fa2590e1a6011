"""A move killed at random moments; the large one is `python -m tests.publish.transfer.kills`."""

from tests.publish.transfer import kills


def test_kills_at_random_moments_lose_and_double_nothing_and_send_nothing(tmp_path):
    outcome = kills.run(40, 10, seed=20261130, fault_rate=0.05, folder=tmp_path)
    assert outcome.differences == []
    assert (outcome.mail, outcome.automation) == (0, 0)
    assert outcome.kills == 10
    assert outcome.with_open_intents > 0
    assert outcome.faults > 0
