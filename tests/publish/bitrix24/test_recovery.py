"""Answers that were lost: nothing is created twice, and nothing is left out."""

import pytest

from tests.publish import marts


@pytest.mark.parametrize(
    "fault",
    ["refuse", "lose_answer", "half_body", "error_500", "bad_gateway", "gateway_timeout", "query_limit",
     "operation_limit", "cut"],
)  # fmt: skip
@pytest.mark.parametrize("passed_before", [2, 3])
def test_a_bad_connection_loses_and_duplicates_nothing(office, fault, passed_before):
    """What fails is sent once more and passes, and so does the next request; the one after that fails again."""
    marts.fill(office.connection, 25, 40, 30)
    office.faults.script(*[None] * passed_before, *[fault, None, None] * 3)
    office.push()
    assert office.differences() == []
    assert office.sql("select count(*) from sync.intents") == [(0,)]


def test_a_create_that_the_portal_finishes_late_is_not_repeated(office):
    """The publisher dies with a create on its way; the portal executes it only after the next run has begun to look."""
    marts.fill(office.connection, 3, 0)
    lookups = []
    execute = office.app.state.engine.request

    def late(name, params, *, fault=None):
        if any("crm.item.list" in command for command in params.get("cmd", {}).values()):
            lookups.append(name)
        answer = execute(name, params, fault=fault)
        if len(lookups) == 2 and not office.portal.counts()["company"]:  # the first one looks for cards of ours
            imported = [command for command in waiting["cmd"].values() if "batchImport" in command]
            execute("batch", {"cmd": {"late": imported[0]}})
        return answer

    waiting = {}

    def held_back(name, params, *, fault=None):
        if any("batchImport" in command for command in params.get("cmd", {}).values()) and not waiting:
            waiting.update(params)
            return 502, {}, {}
        return late(name, params, fault=fault)

    office.app.state.engine.request = held_back
    office.push()
    assert office.differences() == []
