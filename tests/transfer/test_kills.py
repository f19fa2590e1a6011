"""A whole move killed at random moments; the large one is `python -m tests.transfer.kills`."""

from tests.transfer import kills


def test_kills_at_random_moments_leave_no_gap_and_nothing_double_and_send_nothing(tmp_path):
    outcome = kills.run(7, seed=20261130, fault_rate=0.05, folder=tmp_path)
    assert outcome.differences == []
    assert (outcome.mail, outcome.automation) == (0, 0)
    assert all(outcome.kills[step] for step in ("backup", "reading", "push", "stage"))
    assert outcome.faults > 0
