"""A small chaos run, of always the same events; kills fall where they fall. The large one is `make chaos`."""

import pytest

from tests import chaos

SEED = 43  # its events are of every kind


def test_kills_and_all_that_goes_wrong_between_them_lose_and_duplicate_nothing(tmp_path):
    outcome = chaos.run(60, 120, 10, seed=SEED, fault_rate=0.05, folder=tmp_path)
    assert outcome.differences == []
    assert outcome.kills == 10
    assert outcome.older_warehouses or outcome.restored_portals
    assert outcome.people
    assert outcome.faults > 0


def test_a_push_that_the_change_limit_stops_is_let_through_only_where_an_event_explains_it(tmp_path):
    def stopped_until_let_through(seconds: float, *arguments: str) -> int:
        run.log.write_text("-- people\nerror: the plan would write 900 parts, 1,000 are published\n")
        return 0 if arguments == ("--let-through",) else 3

    run = chaos.Chaos(1, 0, tmp_path)
    run._run = stopped_until_let_through
    for event in ("people", "swap"):
        run._happened(event)
        if event == "people":
            with pytest.raises(RuntimeError, match="nothing explains it"):
                run.publish(1)
        else:
            assert run.publish(1) == 0
    assert run.outcome.confirmed == {"swap": 1}
    with pytest.raises(RuntimeError, match="nothing explains it"):  # what was published explains no more
        run.publish(1)
