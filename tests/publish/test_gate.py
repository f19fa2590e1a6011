"""The gate: what the journal and the stamps must say before anything is sent."""

import json

import duckdb
import pytest

from ingest.warehouse import journal
from ingest.warehouse.errors import OperatorError
from publish import gate
from publish.bitrix24.parts import PARTS
from tests.failures_page import as_on_the_page
from tests.publish import marts


def check(warehouse: duckdb.DuckDBPyConnection) -> None:
    gate.check(warehouse, PARTS, 72)


def test_models_that_never_ran_let_nothing_through(warehouse):
    warehouse.execute("delete from ops.steps")
    with pytest.raises(OperatorError, match="never run") as stopped:
        check(warehouse)
    assert stopped.value.exit_status == 3


def test_the_last_model_run_decides(warehouse):
    check(warehouse)
    marts.model_run(warehouse, "gated", journal.DBT_SELECTED)
    with pytest.raises(OperatorError, match="gates did not pass"):
        check(warehouse)
    marts.model_run(warehouse, "done", journal.DBT_ALL)
    check(warehouse)


def test_a_table_of_failures_with_a_shortened_name_is_named(warehouse):
    name = "accepted_values_crm_companies_registry_status__ACTIVE__REORGANIZING"
    kept = name[:40] + "_1f2e"
    warehouse.execute(f"create schema failures; create table failures.{kept} as select 1 as n")
    marts.model_run(warehouse, "gated")
    detail = f'{{"gates": [{{"test": "{name}", "rows": 1}}]}}'
    warehouse.execute("update ops.steps set detail = ? where status = 'gated'", [detail])
    with pytest.raises(OperatorError) as stopped:
        check(warehouse)
    assert stopped.value.hint == f"failing rows: select * from failures.{kept}"


def test_of_two_marts_that_grew_each_failing_table_is_named_once_with_the_way_to_let_it_through(warehouse):
    names = ["within_change_limit_crm_companies_", "within_change_limit_crm_company_contacts_"]
    warehouse.execute("create schema failures")
    for name in names:
        warehouse.execute(f"create table failures.{name} as select 1 as n")
    marts.model_run(warehouse, "gated")
    detail = json.dumps({"gates": [{"test": name, "rows": 1} for name in names]})
    warehouse.execute("update ops.steps set detail = ? where status = 'gated'", [detail])
    with pytest.raises(OperatorError) as stopped:
        check(warehouse)
    assert [stopped.value.hint.count(f"select * from failures.{name}") for name in names] == [1, 1]
    assert "SVOD_MART_CHANGE_LIMIT" in stopped.value.hint


@pytest.mark.parametrize(
    "change",
    [
        "update marts.crm_contacts set post = 'директор' where contact_id = contact_id(3)",
        "delete from marts.crm_company_contacts where contact_id = contact_id(3)",
        "insert into marts.crm_deals from marts.crm_deals limit 1",
        "insert into marts.departed_companies values ('c-1', 'inactive', null)",
        "update marts.crm_deal_stages set stages = ['LOSE'] where status = 'done'",
        "update marts.crm_companies set title = full_name, full_name = title where company_id = company_id(2)",
        "drop table marts.crm_deals",
    ],
)
def test_a_mart_that_is_not_as_the_last_full_pass_left_it_stops_everything_and_is_named(warehouse, change):
    marts.fill(warehouse, 5, 10, 5)
    check(warehouse)
    warehouse.execute(change)
    with pytest.raises(OperatorError, match="not what the last full pass left") as stopped:
        check(warehouse)
    assert stopped.value.exit_status == 3
    (named,) = [mart for mart in marts.PUBLISHED if f"marts.{mart}" in change]
    assert stopped.value.problem.startswith(f"marts.{named} is not")
    assert as_on_the_page("marts.… is not what the last full pass left", stopped.value.problem)
    assert "by hand" in stopped.value.problem


def test_the_model_run_that_changed_a_mart_is_named(warehouse):
    marts.fill(warehouse, 5, 10, 5)
    warehouse.execute("update marts.crm_companies set title = title || '!'")
    warehouse.execute(
        """insert into ops.steps (run_id, step, started_at, status, detail)
           values ('test', 'dbt', '2036-05-06 07:08:09', 'done', '{"command": "run"}')"""
    )
    with pytest.raises(OperatorError, match=r"crm_companies is not .*`dbt` \(run\) of 2036-05-06 07:08 UTC"):
        check(warehouse)


def test_marts_without_a_stamp_are_not_published(warehouse):
    warehouse.execute("delete from ops.mart_stamps where mart = 'crm_deals'")
    with pytest.raises(OperatorError, match=r"no full pass .* marts\.crm_deals behind") as stopped:
        check(warehouse)
    assert stopped.value.exit_status == 3


def test_the_same_rows_in_another_order_and_another_form_have_the_same_stamp(warehouse):
    marts.fill(warehouse, 3000, 5000, 3000)
    for mart in marts.PUBLISHED:
        warehouse.execute(f"create or replace table marts.{mart} as from marts.{mart} order by random()")
    warehouse.execute("checkpoint")
    check(warehouse)


def test_a_move_that_its_own_gates_stopped_is_nothing_to_the_first_job(warehouse):
    marts.model_run(warehouse, "gated", journal.DBT_TRANSFER)
    check(warehouse)
