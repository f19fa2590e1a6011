"""The gate: what the journal must say before anything is sent."""

import pytest

from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from publish import gate
from tests.publish import marts


def test_models_that_never_ran_let_nothing_through(warehouse):
    warehouse.execute("delete from ops.steps")
    with pytest.raises(OperatorError, match="never run") as stopped:
        gate.check(warehouse)
    assert stopped.value.exit_status == 3


def test_the_last_model_run_decides(warehouse):
    gate.check(warehouse)
    marts.model_run(warehouse, "gated", journal.DBT_SELECTED)
    with pytest.raises(OperatorError, match="gates did not pass"):
        gate.check(warehouse)
    marts.model_run(warehouse, "done", journal.DBT_ALL)
    gate.check(warehouse)


def test_a_table_of_failures_with_a_shortened_name_is_named(warehouse):
    name = "accepted_values_crm_companies_registry_status__ACTIVE__REORGANIZING"
    kept = name[:40] + "_1f2e"
    warehouse.execute(f"create schema failures; create table failures.{kept} as select 1 as n")
    marts.model_run(warehouse, "gated")
    detail = f'{{"gates": [{{"test": "{name}", "rows": 1}}]}}'
    warehouse.execute("update ops.steps set detail = ? where status = 'gated'", [detail])
    with pytest.raises(OperatorError) as stopped:
        gate.check(warehouse)
    assert stopped.value.hint == f"failing rows: select * from failures.{kept}"
